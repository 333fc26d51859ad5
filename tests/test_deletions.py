"""Deletions whose answers come late or never: each is counted once, and none hits a record created again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reindexer.dynamo.table import TableClient
from reindexer.models import Isolated, KeyList, RecordInput, RoundInput
from reindexer.table_rounds import attempt_record, make_round
from reindexer.tally import Outcome, Tally
from tests.driving import SEGMENT, FakeContext, Life, shard
from tests.model_table import ModelTable, Plan
from tests.written_jobs import aim, offer, write_job

ROW = {"id": {"S": "row-0"}, "age": {"N": "20"}}
KEY = {"id": {"S": "row-0"}}
EXPIRE = """
    def transform(item, params):
        return Delete() if item["age"] > 10 else Skip("young")
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = write_job(tmp_path, EXPIRE)
    offer(monkeypatch, made)
    return made


@pytest.fixture(params=["partiql", "update_item"])
def writer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_late_deletion_does_not_hit_a_record_created_again_just_as_it_was(job: Any, writer: str) -> None:
    """1 reads, 2 marks, 3 deletes and is not answered, 4 deletes; then it is there again, and 3 lands."""
    model = ModelTable([ROW], plan={3: Plan(statements={0: "500 late"}, late_by=3)}.get)
    assert shard(model, target=aim(job, writer=writer)).run().tally == Tally(scanned=1, deleted=1)
    assert model.calls == 4
    model.rows[model.identity(ROW)] = dict(ROW)
    for _ in range(3):
        model.scan()
    assert list(model.rows.values()) == [ROW]


@pytest.mark.parametrize("stop_at", range(2, 9))
@pytest.mark.parametrize("fault", ["500 after", "500 late", "timeout after", "timeout late"])
def test_a_deletion_is_counted_though_its_round_ended_before_it_was_known(
    job: Any, writer: str, fault: str, stop_at: int
) -> None:
    """Late: between the look at what was sent, and the scan that would have handed the row out again."""
    model = ModelTable([ROW], plan={3: Plan(call=fault, late_by=2)}.get)
    carried = shard(model, target=aim(job, writer=writer)).run([Life(stop_at=stop_at)])
    assert carried.tally == Tally(scanned=1, deleted=1)
    assert (model.rows, carried.request.unconfirmed) == ({}, [])


def test_named_records_deleted_beyond_the_cursor_are_counted_by_the_next_round(job: Any) -> None:
    """They are asked for by their keys, and are gone: by this run, not by another writer."""
    rows = [{"id": {"S": f"row-{number:02}"}, "age": {"N": "20"}} for number in range(30)]
    model = ModelTable(rows)
    first = model.identity(rows[0])
    model.failing[first] = "throttled"
    carried = shard(
        model, source=KeyList(keys=[{"id": row["id"]} for row in rows]), target=aim(job, writer="partiql")
    )
    carried.one_round(Life(stop_at=30))
    assert (carried.tally, len(model.rows)) == (Tally(), 1)
    model.failing.clear()
    assert carried.run().tally == Tally(scanned=30, deleted=30)


def test_what_was_deleted_is_reported_before_the_next_call(job: Any) -> None:
    """Else an attempt that hangs in that call for too long takes the count with it: no row is left to tell."""
    rows = [{"id": {"S": f"row-{number:02}"}, "age": {"N": "20"}} for number in range(60)]
    seen: list[tuple[int, int]] = []

    def look(_call: int) -> None:
        counted = context.at_once.tally[Outcome.DELETED] if context.at_once else 0
        seen.append((len(rows) - len(model.rows), counted))

    model = ModelTable(rows, plan=look)
    context = FakeContext(model.clock)
    target = aim(job, writer="partiql")  # UpdateItem goes one by one: up to eight are not counted yet
    request = RoundInput(target=target, source=SEGMENT, seconds=60, heartbeat_timeout=10)
    result = make_round(request, TableClient(model, "t"), context).run()  # type: ignore[arg-type]
    assert result.progress.tally[Outcome.DELETED] == 60
    assert {deleted for deleted, _ in seen} == {0, 25, 50}
    assert all(deleted == counted for deleted, counted in seen)


@pytest.mark.parametrize(("sent", "outcome"), [(True, "deleted"), (False, "vanished")])
def test_an_isolated_record_that_is_gone_was_deleted_if_that_was_sent(
    job: Any, writer: str, sent: bool, outcome: str
) -> None:
    model = ModelTable([])
    record = Isolated(key=KEY, unknown=True, deleting=sent)
    request = RecordInput(target=aim(job, writer=writer), record=record)
    result = attempt_record(request, TableClient(model, "t"), FakeContext(model.clock))  # type: ignore[arg-type]
    assert result.outcome == outcome


def test_an_isolated_record_hands_on_that_its_deletion_was_sent(job: Any, writer: str) -> None:
    model = ModelTable([ROW], plan={3: Plan(call="500 before")}.get)
    request = RecordInput(target=aim(job, writer=writer), record=Isolated(key=KEY))
    result = attempt_record(request, TableClient(model, "t"), FakeContext(model.clock))  # type: ignore[arg-type]
    assert (result.retry, result.record.unknown, result.record.deleting) == (True, True, True)


def test_a_marked_record_of_which_nothing_is_known_gets_its_second_write(job: Any, writer: str) -> None:
    """As a crash leaves it behind."""
    marked = {**ROW, "reindexVersion": {"N": "7"}, "reindexRun": {"S": "run-1/delete"}}
    model = ModelTable([marked])
    assert shard(model, target=aim(job, writer=writer)).run().tally == Tally(scanned=1, deleted=1)
    assert model.rows == {}


OVERWRITTEN = {"reindexVersion": {"N": "7"}, "reindexRun": {"S": "another"}}


@pytest.mark.parametrize("fault", [None, "500 after"])
def test_a_deletion_whose_mark_is_gone_is_never_current(job: Any, writer: str, fault: str | None) -> None:
    """1 reads, 2 marks, then another job stamps the record: it is still there, and was not before this run."""

    def plan(call: int) -> Plan | None:
        if call == 3:
            model.rows[identity] = {**model.rows[identity], **OVERWRITTEN}
        return Plan(call=fault) if call == 2 and fault else None

    model = ModelTable([ROW], plan=plan)
    identity = model.identity(ROW)
    carried = shard(model, target=aim(job, writer=writer)).run()
    assert carried.tally == Tally(scanned=1)
    [given_up] = carried.isolated
    assert (given_up.error, given_up.given_up, given_up.unknown) == ("MarkOverwritten", True, bool(fault))
    assert model.rows


def test_a_deletion_that_was_sent_is_never_current_on_reading(job: Any, writer: str) -> None:
    model = ModelTable([{**ROW, **OVERWRITTEN}])
    record = Isolated(key=KEY, unknown=True, deleting=True)
    request = RecordInput(target=aim(job, writer=writer), record=record)
    result = attempt_record(request, TableClient(model, "t"), FakeContext(model.clock))  # type: ignore[arg-type]
    assert (result.outcome, result.record.error, result.record.given_up) == (None, "MarkOverwritten", True)
