"""What dynamodb-replicator's diff-tables gets wrong is right here; nightly tests run it on the same tables."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evidence.judge import differences
from evidence.replicator.programs import command as replicator
from evidence.replicator.programs import diff_tables, environment
from reindexer.dynamo.client import make_client
from testbed.embedded import dynamodb_engine
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome
from testbed.stack import Stack
from tests.cli import command
from tests.replicator_cases import CASES, DIGITS, ONE, Case
from tests.tables import Table, create_table

Make = Callable[..., Table]
KINDS = ("different", "missing", "extraneous")
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=str)
#: More failures in a row than the ten tries that aws-sdk v2 makes of a call, after the first scan.
OUTAGE = Fault(kind=FaultKind.SERVER_ERROR, operations="reads", after=1, limit=12)


async def compared(stack: Stack, table: Table, other: Table) -> dict[str, int]:
    """How many keys of each kind a job finds."""
    operation = {"kind": "compare", "with": {"table": other.name}}
    state, report = await outcome(await stack.start({"table": table.name, "operation": operation}))
    assert state == "complete", report
    counts = report["comparison"]["counts"]
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def run(program: str, *arguments: str) -> tuple[int, str, str]:
    """A program of theirs: (exit code, stdout, stderr)."""
    asked = replicator(program, *arguments)
    ran = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stdout, ran.stderr


@EACH_CASE
async def test_each_is_compared_rightly(quiet: Stack, make_table: Make, case: Case) -> None:
    table, other = case.made(make_table)
    judged = Counter(kind for _, kind in differences(table.client, table.name, other.name))
    assert await compared(quiet, table, other) == judged == case.right


@pytest.mark.nightly
@EACH_CASE
def test_diff_tables_says_of_the_same_tables(quiet: Stack, make_table: Make, case: Case) -> None:
    table, other = case.made(make_table)
    said = diff_tables(quiet.engine.endpoint_url, table.name, other.name)
    if case.theirs is None:
        assert (said.code, said.discrepancies) == (1, []), said
        assert "ValidationException" in said.output
    else:
        assert (said.code, said.kinds) == (0, case.theirs), said  # 0, whatever differs


async def test_a_fault_in_the_middle_is_waited_for(quiet: Stack, make_table: Make) -> None:
    table, other = CASES[5].made(make_table)
    tables = frozenset((table.name, other.name))
    quiet.proxy.set_plan(FaultPlan(faults=(OUTAGE.model_copy(update={"tables": tables}),)))
    assert await compared(quiet, table, other) == CASES[5].right
    assert quiet.proxy.truth().injected == {"server_error": 12}


@pytest.mark.nightly
def test_diff_tables_ends_at_a_fault_in_the_middle(quiet: Stack, make_table: Make) -> None:
    """With nothing to go on from: it begins at the first row once more."""
    table, other = CASES[5].made(make_table)
    tables = frozenset((table.name, other.name))
    quiet.proxy.set_plan(FaultPlan(faults=(OUTAGE.model_copy(update={"tables": tables}),)))
    said = diff_tables(quiet.proxy.endpoint_url, table.name, other.name)
    assert (said.code, said.discrepancies) == (1, []), said


async def test_rows_that_lagging_reads_do_not_see_yet_are_no_differences(
    quiet: Stack, make_table: Make
) -> None:
    table, other = make_table(), make_table()
    table.fill(30, v=ONE)
    quiet.proxy.set_plan(_lag(other))
    _through(quiet, other).fill(30, v=ONE)
    assert await compared(quiet, table, other) == {}


@pytest.mark.nightly
def test_diff_tables_takes_what_lags_for_missing(quiet: Stack, make_table: Make) -> None:
    table, other = make_table(), make_table()
    table.fill(30, v=ONE)
    quiet.proxy.set_plan(_lag(other))
    _through(quiet, other).fill(30, v=ONE)
    said = diff_tables(quiet.proxy.endpoint_url, table.name, other.name)
    assert (said.code, said.kinds) == (0, {"missing": 30}), said


def _lag(table: Table) -> FaultPlan:
    return FaultPlan(faults=(Fault(kind=FaultKind.LAG, seconds=60, tables=frozenset((table.name,))),))


def _through(stack: Stack, table: Table) -> Table:
    """The table behind the proxy, which has to see what is written, to know what lags."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", stack.proxy.endpoint_url)
        return Table(make_client(), table.name, table.arn, table.id, table.key)


@pytest.mark.nightly
def test_diff_tables_fails_with_a_trace_where_the_replica_is_not_named() -> None:
    """Ours ends with 2 and a sentence: `test_bad_input_is_refused_before_anything_starts`."""
    code, _, err = run("diff-tables", "us-east-1/cities")
    assert (code, "TypeError" in err) == (1, True), err


#: Of keys: what `compare --key` ends with, and what it says first.
KEYS: list[tuple[Any, int, str]] = [
    ({"id": 0}, 1, "different"),  # in the 38th digit
    ({"id": 1}, 1, "different"),
    ({"id": 2}, 0, "equal"),
    ({"id": 9}, 3, "absent"),
]


def _two_rows(client: Any) -> tuple[Table, Table]:
    table, other = (create_table(client, hash_type="N", name=f"key-{uuid.uuid4().hex[:6]}") for _ in "ab")
    sets: Any = {"id": {"N": "2"}, "v": {"SS": ["a", "b"]}}
    table.put({"id": {"N": "0"}, "v": {"N": f"{DIGITS}8"}}, {"id": ONE, "v": ONE}, sets)
    other.put({"id": {"N": "0"}, "v": {"N": f"{DIGITS}9"}}, {"id": ONE}, sets)
    return table, other


def test_single_keys_end_with_what_they_are(quiet: Stack, dynamodb: Any) -> None:
    table, other = _two_rows(dynamodb)
    for key, code, first in KEYS:
        ended = command(dict(quiet.environment), "compare", table.name, other.name, "--key", json.dumps(key))
        assert (ended[0], ended[1].split()[0]) == (code, first), ended


@pytest.mark.nightly
def test_diff_record_says_of_the_same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows one endpoint on this machine, port 4567, and ends with 0 whatever it finds."""
    with dynamodb_engine(logs=tmp_path, port=4567) as engine:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)
        table, other = _two_rows(make_client())

        def recorded(key: str) -> tuple[int, bool]:
            """(exit code, whether it calls them equivalent)."""
            asked = replicator("diff-record", f"local/{table.name}", f"local/{other.name}", key)
            ran = subprocess.run(
                asked, env=environment(), capture_output=True, text=True, timeout=60, check=False
            )
            return ran.returncode, "records are equivalent" in ran.stdout

        assert recorded('{"id": 0}') == (0, True), "they differ in the 38th digit"
        assert recorded('{"id": 1}') == (0, False)
        assert recorded('{"id": 9}') == (0, True), "it is in neither table"
        assert recorded('{"id": {"N": "0"}}') == (1, False), "0 is taken for no value"
        assert recorded('{"id": {"N": "1"}}') == (0, False)
