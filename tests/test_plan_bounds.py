"""What planning refuses because it could not travel or be kept: ids, parameters, plans."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from reindexer.connect import DATA_CONVERTER
from reindexer.errors import BadInput
from reindexer.items import to_json_key
from reindexer.models import JobInput, KeyList, Limits, Plan, PlanInput, Source, TableFacts, Unconfirmed
from reindexer.models.packed import packed
from reindexer.operations.touch import TOUCH
from reindexer.planning.bounds import (
    MAX_PACKED_PLAN_BYTES,
    MAX_PARAMS_BYTES,
    MAX_PLAN_BYTES,
    MAX_WORKFLOW_ID_BYTES,
    check_params,
    check_plan,
    check_workflow_id,
)
from reindexer.planning.plan import make_plan
from reindexer.planning.sizing import key_lists
from tests.driving import target

RUN, START = "0123456789", "2026-11-21T12:00:00.000000Z"


def a_plan(sources: Any = (), **more: Any) -> Plan:
    facts = TableFacts(account="1", region="us-east-1", items=0, size_bytes=0)
    return Plan(
        run=RUN,
        target=target(),
        verb=TOUCH,
        facts=facts,
        limits=Limits(),
        isolation="batch",
        sources=list(sources),
        **more,
    )


def test_the_longest_id_leaves_room_for_its_children_and_its_keys() -> None:
    job = "x" * MAX_WORKFLOW_ID_BYTES
    for child in ("shard-399-again-1000", "verify-0399-again-1000"):
        assert len(f"{job}/{RUN}/{child}") <= 1000, "Temporal's limit"
    assert len(f"{START}#{RUN}#{job}") <= 1024, "DynamoDB's limit of a sort key"
    for prefix in ("kept", "failures"):
        assert len(f"{prefix}#{job}#{RUN}") <= 2048, "DynamoDB's limit of a partition key"
    check_workflow_id(job)
    for wrong, size in ((job + "x", MAX_WORKFLOW_ID_BYTES + 1), ("€" * 400, 1200)):
        with pytest.raises(BadInput, match=f"workflow id: has {size:,} bytes; a job's may have 966") as bad:
            check_workflow_id(wrong)
        assert bad.value.field == "workflow id"


@pytest.mark.parametrize(
    ("workflow_id", "scope", "field"),
    [
        ("y" * 990, {"kind": "complete"}, "workflow id"),
        ("a", {"kind": "quarantined", "job": "€" * 400, "run": "r"}, "scope.job"),
        ("a", {"kind": "quarantined", "job": "j", "run": "r" * 101}, "scope.run"),
    ],
)
def test_planning_refuses_a_long_id_before_it_asks_anybody(workflow_id: str, scope: Any, field: str) -> None:
    nobody: Any = None
    job = JobInput.model_validate({"table": "t", "scope": scope})
    request = PlanInput(job=job, workflow_id=workflow_id, started_at=START, run=RUN)
    with pytest.raises(BadInput) as bad:
        make_plan(request, client=nobody, ledger=nobody, heartbeat_timeout=10.0)
    assert bad.value.field == field


def test_parameters_are_bounded_in_bytes() -> None:
    check_params({"text": "x" * (MAX_PARAMS_BYTES - 20)})
    with pytest.raises(BadInput, match=r"operation\.params: take 4,5.. bytes"):
        check_params({"text": "é" * 2250})


_RANDOM = random.Random(1)  # any seed
KEYS: dict[str, Callable[[int], Any]] = {
    "long, at random": lambda _: {"id": {"B": _RANDOM.randbytes(2048)}, "at": {"B": _RANDOM.randbytes(1024)}},
    "short, at random": lambda _: {"id": {"B": _RANDOM.randbytes(60)}},
    "counted up": lambda n: {"id": {"S": f"customer-{n:08}"}, "at": {"S": f"2026-11-21T12:00:00.{n:06}Z"}},
}  # fmt: skip


@pytest.mark.parametrize("unsure", [False, True], ids=["known", "unknown"])
@pytest.mark.parametrize("kind", KEYS)
def test_as_many_keys_are_taken_as_travel(kind: str, unsure: bool) -> None:
    """Also where each of them is in its list twice: as one that may have been changed."""
    keys = [to_json_key(KEYS[kind](number)) for number in range(10_000)]
    lists, taken = key_lists(keys, copies=lambda _: 2 if unsure else 1)
    sources: list[Source] = [
        part.model_copy(
            update={"unconfirmed": [Unconfirmed(key=key, deletion=True) for key in part.keys if unsure]}
        )
        for part in lists
    ]
    assert sum(len(part.keys) for part in lists) == taken > 50
    made = check_plan(a_plan(sources, warnings=["w" * 600] * 60))
    [payload] = DATA_CONVERTER.payload_converter.to_payloads([made])
    assert len(payload.data) <= MAX_PLAN_BYTES
    assert len(json.dumps(packed(made))) <= MAX_PACKED_PLAN_BYTES
    if kind == "counted up" and not unsure:
        assert taken == 10_000
    for source in sources:
        assert len(source.model_dump_json()) < 210_000


def test_a_plan_that_cannot_travel_says_into_how_many_jobs_to_split() -> None:
    keys = [to_json_key(KEYS["short, at random"](number)) for number in range(30_000)]
    with pytest.raises(BadInput, match=r"scope: the plan takes .* among 4 jobs") as bad:
        check_plan(a_plan([KeyList(keys=keys)]))
    assert len(str(bad.value)) < 300


def test_warnings_are_bounded_in_number_and_bytes() -> None:
    made = check_plan(a_plan(warnings=["ü" * 5000] * 70))
    assert len(made.warnings) == 51
    assert made.warnings[-1] == "and 20 warnings more"
    assert max(len(warning.encode()) for warning in made.warnings) <= 600
    assert check_plan(a_plan(warnings=["one"])).warnings == ["one"]


@pytest.mark.parametrize("wrong", ["", "  ", "a\nb", "a\x1b[31m", "a\udcff"])
def test_an_id_that_no_one_could_read_or_type_is_refused(wrong: str) -> None:
    with pytest.raises(BadInput, match="workflow id: "):
        check_workflow_id(wrong)
