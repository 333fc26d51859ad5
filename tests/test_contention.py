"""Contention waits like a throttle; what failed is charged nothing; enums of strings are their values."""

from __future__ import annotations

from enum import Enum as PlainEnum
from enum import IntEnum, StrEnum
from typing import Any

import pytest

from reindexer.answers import Action, Answers, Failure
from reindexer.dynamo.table import TableClient
from reindexer.models import RoundInput, Stop
from reindexer.table_rounds import make_round
from reindexer.tally import Tally
from reindexer.values import wire
from tests.driving import PATIENCE, SEGMENT, FakeContext, Life, shard, target
from tests.model_table import ModelTable
from tests.written_jobs import aim, offer, write_job

ROWS = [{"id": {"S": f"row-{number:03}"}} for number in range(50)]


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
def test_a_record_in_others_transactions_for_minutes_is_not_given_up(writer: str) -> None:
    model = ModelTable(ROWS)
    held = sorted(model.rows)[7]
    model.failing[held] = "conflict"
    carried = shard(model, target=target(writer=writer))
    for _ in range(30):  # each stalls for five seconds, and the workflow waits as long
        carried.one_round(Life())
        model.clock.now += 5.0
    assert carried.isolated == []
    assert Stop.DONE not in carried.stops
    model.failing.clear()
    carried.run()
    assert carried.tally == Tally(scanned=50, updated=50)
    assert carried.attempts.conflicts > 10


@pytest.mark.parametrize(
    ("writer", "fault"),
    [
        ("partiql", "throttled"), ("partiql", "conflict"), ("partiql", "500 before"),
        ("update_item", "conflict"), ("update_item", "500 before"),
    ],
)  # fmt: skip
def test_what_failed_is_charged_nothing(writer: str, fault: str) -> None:
    model = ModelTable(ROWS)
    for identity in model.rows:
        model.failing[identity] = fault
    request = RoundInput(target=target(writer=writer), source=SEGMENT, seconds=10, heartbeat_timeout=10)
    table = TableClient(model, "t")  # type: ignore[arg-type]
    result = make_round(request, table, FakeContext(model.clock), PATIENCE).run()
    assert result.progress.write_units == 0
    assert sum(result.progress.attempts.model_dump().values()) > 25


def test_a_refused_condition_costs_as_a_write_does() -> None:
    refused, throttled = Failure("a", "", Action.SETTLE), Failure("b", "", Action.WAIT)
    assert Answers([None, refused, throttled], None).costly == 2


class Color(str, PlainEnum):  # noqa: UP042 – what `str` makes of it is the point
    RED = "red"


class Shade(StrEnum):
    DARK = "dark"


class Size(IntEnum):
    BIG = 9


def test_members_of_enums_are_written_by_value() -> None:
    assert wire(Color.RED) == {"S": "red"}
    written = wire({Color.RED: [Color.RED, Shade.DARK, Size.BIG], "set": {Color.RED, Shade.DARK}})
    assert written == {
        "M": {"red": {"L": [{"S": "red"}, {"S": "dark"}, {"N": "9"}]}, "set": {"SS": ["dark", "red"]}}
    }
    [name] = [name for name in written["M"] if name != "set"]
    assert type(name) is type(written["M"]["red"]["L"][0]["S"]) is type(written["M"]["set"]["SS"][0]) is str


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
def test_a_job_may_name_attributes_by_members_of_an_enum(tmp_path: Any, monkeypatch: Any, writer: str) -> None:
    text = """
        from enum import Enum
        class Name(str, Enum):
            COLOR = "color"
            OLD = "old"
        def transform(item, params):
            return Update(set={Name.COLOR: Name.OLD}, remove=[Name.OLD])
    """
    job = write_job(tmp_path, text)
    offer(monkeypatch, job)
    model = ModelTable([{**row, "old": {"S": "x"}} for row in ROWS])
    assert shard(model, target=aim(job, writer=writer)).run().tally == Tally(scanned=50, updated=50)
    for row in model.rows.values():
        assert row["color"] == {"S": "old"}
        assert "old" not in row
