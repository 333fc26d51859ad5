"""What a plan says of a replica and of a stream: numbers agree, and what is not known is not claimed."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from reindexer.models import JobInput, Lineages, OtherTable, Plan, SampledSegments, Segment, Source, TableFacts
from reindexer.operations import verb_of
from reindexer.plan_rows import plan_rows
from reindexer.planning.follow import images_missing
from tests.stand_in import a_plan

OPERATION = {"kind": "replicate", "to": {"table": "cities-eu"}}
SAMPLE = SampledSegments(segments=[0], total=1, enough=1000, at_least=30)


def rows(
    *,
    streams: int = 0,
    checks: list[Source] | None = None,
    recovery: bool | None = None,
    there: str = "",
    writer: str = "partiql",
    **more: Any,
) -> list[tuple[str, str]]:
    job = JobInput.model_validate({"table": "cities", "operation": OPERATION, **more})
    facts = TableFacts(account="", region="eu-west-1", items=0, size_bytes=0, point_in_time_recovery=recovery)
    other = OtherTable(table="cities-eu", table_arn=there, table_id="", region="eu-west-1")
    plan: Plan = a_plan().model_copy(update={"verb": verb_of(job.operation), "other_facts": facts})
    reading: Any = {f"shard-{number}": None for number in range(streams)}
    lineages = Lineages.model_construct(stream_arn="a", opened_at=datetime.now(UTC), reading=reading)
    update: dict[str, Any] = {
        "target": plan.target.model_copy(update={"other": other, "operation": job.operation, "writer": writer}),
        "sources": [*plan.sources, *([lineages] if streams else [])],
        "checks": checks or [],
    }
    return list(plan_rows(plan.model_copy(update=update), job, None))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "1 stream shard from its beginning, and its descendants"),
        (2, "2 stream shards from their beginning, and their descendants"),
    ],
)
def test_stream_shards_agree_with_their_number(number: int, said: str) -> None:
    assert dict(rows(streams=number))["follows"].startswith(f"{said}; idle about")


@pytest.mark.parametrize(
    ("there", "writer", "said"),
    [
        ("arn", "partiql", "reading of cities; reading and conditional writes of cities-eu; each was tried"),
        ("arn", "none", "reading of cities; reading of cities-eu; each was tried"),
        ("", "partiql", "reading of cities; each was tried"),  # the replica is not there yet
    ],
)
def test_only_permissions_that_were_tried_are_claimed(there: str, writer: str, said: str) -> None:
    assert dict(rows(there=there, writer=writer))["permissions"].startswith(said)


def test_a_job_in_place_has_tried_to_write_to_its_table() -> None:
    found = dict(plan_rows(a_plan(), JobInput(table="cities"), None))["permissions"]
    assert found == "reading and conditional writes of cities; each was tried, and changed nothing"


@pytest.mark.parametrize(
    ("recovery", "said"),
    [
        (None, []),
        (True, ["cities-eu has point-in-time recovery"]),
        (False, ["cities-eu has no point-in-time recovery"]),
    ],
)
def test_recovery_is_said_where_it_is_known(recovery: bool | None, said: list[str]) -> None:
    assert [text for _, text in rows(recovery=recovery) if "recovery" in text] == said


@pytest.mark.parametrize(
    ("streams", "checks", "more", "said"),
    [
        (0, [SAMPLE], {}, "a sample of up to 1,000 records is compared"),
        (0, [Segment(segment=0, total=1)], {}, "all of both tables are compared"),
        (0, [], {"verify": False}, "nothing is compared"),
        (1, [SAMPLE], {}, "once it is drained a sample of up to 1,000 records is compared; `cancel --drained` "
         "compares all of both tables"),
        (1, [], {}, "nothing is compared; `cancel --drained` compares all of both tables"),
        (1, [], {"verify": False}, "nothing is compared"),
    ],
)  # fmt: skip
def test_what_is_compared_is_said_with_when(
    streams: int, checks: list[Source], more: dict[str, Any], said: str
) -> None:
    assert dict(rows(streams=streams, checks=checks, **more))["afterwards"] == said


READ, SINGLY = "is read consistently", "one by one"


@pytest.mark.parametrize(
    ("view", "of_a_copy", "of_an_index"),
    [
        (None, (), ()),
        ("NEW_AND_OLD_IMAGES", (), ()),
        ("NEW_IMAGE", (SINGLY,), ()),
        ("OLD_IMAGE", (READ,), (READ,)),
        ("KEYS_ONLY", (READ, SINGLY), (READ,)),
    ],
)
def test_what_a_view_costs_is_a_warning(
    view: str | None, of_a_copy: tuple[str, ...], of_an_index: tuple[str, ...]
) -> None:
    described: Any = SimpleNamespace(facts=SimpleNamespace(stream=view))
    for copies, costs in ((True, of_a_copy), (False, of_an_index)):
        said = images_missing(described, copies=copies)
        assert len(said) == bool(costs)
        assert tuple(cost for cost in (READ, SINGLY) if said and cost in said[0]) == costs
