"""Repairing a second table on the real servers: equal afterwards, by a comparison that shares no code."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from reindexer.tally import Outcome
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.killed import outcome_though_killed
from tests.planted import FAST, SLOW, Make, Planted, has_compared
from tests.tables import Table, made_up_key

#: What a copy has besides, or need not have.
_LEFT_OUT = ("reindexVersion", "reindexRun", "reindexOrder", "reindexNames", "reindexGone")


def by_value(value: Any) -> Any:
    """A value of DynamoDB JSON so that equal ones are equal in Python."""
    [(kind, content)] = value.items()
    if kind == "N":
        return kind, Decimal(content)
    if kind in ("SS", "BS"):
        return kind, frozenset(content)
    if kind == "NS":
        return kind, frozenset(map(Decimal, content))
    if kind == "M":
        return kind, tuple(sorted((name, by_value(entry)) for name, entry in content.items()))
    return (kind, tuple(map(by_value, content))) if kind == "L" else (kind, content)


def contents(table: Table, *, marked: bool | None = None) -> dict[Any, Any]:
    """Every row by its key, without what is left out. `marked`: tombstones alone, or all others."""
    return {
        tuple(by_value(row[part.name]) for part in table.key): {
            name: by_value(value) for name, value in row.items() if name not in _LEFT_OUT
        }
        for row in table.items()
        if marked is None or marked == ("reindexGone" in row)
    }


class Repaired(Planted):
    """A job that repairs what is planted."""

    def job(self, **more: Any) -> dict[str, Any]:
        job = super().job(allow_no_recovery=True, **more)
        job["operation"]["kind"] = "repair"
        return job

    def assert_repaired(self, report: dict[str, Any], **already: int) -> None:
        """The tables are equal, and each planted difference was counted once. `already`: as these instead."""
        kinds = Counter(self.kinds.values())
        tally = {name: number for name, number in report["tally"].items() if number}
        counted = Counter(created=kinds["missing"], replaced=kinds["different"], removed=kinds["extraneous"])
        assert report["balanced"]
        assert tally.pop("scanned") == len(self.kinds)
        if not already:
            assert tally == counted
        assert sum(tally.values()) == len(self.kinds)
        assert contents(self.other) == contents(self.table)


@pytest.mark.parametrize(
    ("hash_type", "range_type"), [("S", None), pytest.param("N", "B", marks=pytest.mark.nightly)]
)
async def test_a_repaired_table_is_equal_and_each_difference_is_counted(
    quiet: Stack, make_table: Make, hash_type: str, range_type: str | None
) -> None:
    planted = Repaired(make_table, hash_type=hash_type, range_type=range_type)
    before = contents(planted.table)
    state, report = await outcome(await quiet.start(planted.job()))
    assert state == "complete", report
    planted.assert_repaired(report)
    planted.assert_found(report, quiet.ledger())
    assert contents(planted.table) == before
    state, report = await outcome(await quiet.start(planted.job()))
    assert (state, report["tally"]["scanned"]) == ("complete", 0)


async def test_named_keys_alone_are_repaired(quiet: Stack, make_table: Make) -> None:
    planted = Repaired(make_table, rows=60)
    keys = [{"id": f"row-{number:06}"} for number in (3, 5, 7, 9)]
    state, report = await outcome(
        await quiet.start({**planted.job(), "total_segments": None, "scope": {"kind": "keys", "keys": keys}})
    )
    assert state == "complete", report
    tally = {name: number for name, number in report["tally"].items() if number}
    assert tally == {"scanned": 3, "created": 1, "replaced": 1, "removed": 1}
    assert _differing(planted) == len(planted.kinds) - 3


async def test_one_key_is_repaired_by_the_command(quiet: Stack, make_table: Make) -> None:
    planted = Repaired(make_table, rows=60)
    environment = dict(quiet.environment)
    assert (await outcome(await quiet.start(planted.job(dry_run=True))))[0] == "complete"  # the workers are up
    tables = (planted.table.name, planted.other.name)
    options = ("--key", '{"id": "row-000005"}', "--yes", "--wait", "--allow-no-recovery")
    code, out, err = await asyncio.to_thread(command, environment, "repair", *tables, *options)
    assert (code, "created" in out) == (0, True), err
    assert _differing(planted) == len(planted.kinds) - 1
    code, out, err = await asyncio.to_thread(command, environment, "repair", *tables, "--key", "[]")
    assert (code, "--key: should be an object" in err) == (2, True), out


async def test_the_command_fills_an_empty_table(quiet: Stack, make_table: Make) -> None:
    table, other = make_table(), make_table()
    table.fill(30, size={"N": "3"})
    operation = {"kind": "compare", "with": {"table": other.name}}
    await outcome(await quiet.start({"table": table.name, "operation": operation}))  # the workers are up
    arguments = ("repair", table.name, other.name, "--backfill", "--lag", "0.5", "--yes", "--wait")
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), *arguments)
    assert (code, f"filling {other.name}" in " ".join(out.split())) == (0, True), err + out
    assert contents(other) == contents(table)


async def test_a_dry_run_writes_nothing(quiet: Stack, make_table: Make) -> None:
    planted = Repaired(make_table, rows=100)
    before = contents(planted.other)
    state, report = await outcome(await quiet.start(planted.job(dry_run=True)))
    assert (state, report["writer"], report["tally"]["scanned"]) == ("complete", "none", 0)
    planted.assert_found(report, quiet.ledger())
    assert contents(planted.other) == before


async def test_faults_and_writes_without_an_answer_are_counted_once(quiet: Stack, make_table: Make) -> None:
    planted = Repaired(make_table)
    tables = frozenset((planted.table.name, planted.other.name))
    kinds = (FaultKind.SERVER_ERROR, FaultKind.SERVER_ERROR_APPLIED, FaultKind.THROTTLE, FaultKind.CUT_APPLIED)
    faults = tuple(Fault(kind=kind, probability=0.1, tables=tables) for kind in kinds)
    handle = await quiet.start(planted.job(limits=SLOW))
    await until(handle, partial(has_compared, 1))
    quiet.proxy.set_plan(FaultPlan(seed=3, faults=faults))
    state, report = await outcome(handle)
    quiet.proxy.set_plan(FaultPlan())
    assert state == "complete", report
    planted.assert_repaired(report)


@pytest.mark.parametrize("killed_at", [(5,), pytest.param((1, 10), marks=pytest.mark.nightly)])
@pytest.mark.long
async def test_a_repair_survives_workers_that_are_killed(
    quiet: Stack, make_table: Make, killed_at: tuple[int, ...]
) -> None:
    planted = Repaired(make_table)
    beside = quiet.beside(f"repair-{uuid.uuid4().hex[:8]}")
    job, limits = planted.job(limits={"records_per_second": 5, **FAST}), {"records_per_second": "unlimited"}
    moments = [partial(_has_scanned, number) for number in killed_at]
    state, report = await outcome_though_killed(beside, job, moments, limits)
    assert state == "complete", report
    planted.assert_repaired(report)


async def test_what_changes_meanwhile_is_right_as_of_its_read(quiet: Stack, make_table: Make) -> None:
    """Rows that differ are rewritten on both sides while they are repaired."""
    planted = Repaired(make_table, rows=300)
    handle = await quiet.start(planted.job(limits={"records_per_second": 2, **FAST}))
    await until(handle, lambda seen: bool(seen["phase"] == "repairing"))
    for number in range(300):
        key = made_up_key(planted.table.key, number)
        if number % 50 == 3:
            planted.table.put({**key, "now": {"N": str(number)}})
        if number % 50 == 5:
            planted.other.put({**key, "theirs": {"BOOL": True}})
    await handle.execute_update("set_limits", {"records_per_second": "unlimited"})
    state, report = await outcome(handle)
    assert state == "complete", report
    assert report["tally"]["scanned"] == len(planted.kinds)
    assert contents(planted.other) == contents(planted.table)


async def test_a_table_without_recovery_is_refused_and_untouched(quiet: Stack, make_table: Make) -> None:
    planted = Repaired(make_table, rows=60)
    before = contents(planted.other)
    kind, failure = await outcome(await quiet.start({**planted.job(), "allow_no_recovery": False}))
    assert kind == "NoRecovery"
    assert "point-in-time recovery" in failure["message"]
    assert contents(planted.other) == before


async def test_an_empty_table_is_filled_and_one_that_is_not_is_refused(quiet: Stack, make_table: Make) -> None:
    table, other = make_table(), make_table()
    table.fill(700, size={"N": "3.50"}, reindexVersion={"N": "7"})
    operation = {"kind": "repair", "with": {"table": other.name}, "backfill": True}
    job = {"table": table.name, "operation": operation, "total_segments": 3}
    faults = tuple(
        Fault(kind=kind, probability=0.1, tables=frozenset((table.name, other.name)))
        for kind in (FaultKind.SERVER_ERROR_APPLIED, FaultKind.THROTTLE)
    )
    quiet.proxy.set_plan(FaultPlan(seed=1, faults=faults))
    state, report = await outcome(await quiet.start(job))
    quiet.proxy.set_plan(FaultPlan())
    assert state == "complete", report
    assert (report["tally"]["created"], report["tally"]["scanned"]) == (700, 700)
    assert contents(other) == contents(table)
    assert not any("reindexVersion" in row for row in other.items())
    kind, failure = await outcome(await quiet.start(job))
    assert (kind, "holds records" in failure["message"]) == ("NotEmpty", True)


@pytest.mark.nightly
async def test_what_a_backfill_gave_up_is_created_by_a_redrive_and_nothing_is_replaced(
    quiet: Stack, make_table: Make
) -> None:
    table, other = make_table(), make_table()
    keys = table.fill(40, size={"N": "3"})
    operation = {"kind": "repair", "with": {"table": other.name}, "backfill": True}
    refused = Fault(
        kind=FaultKind.STATEMENT_ERROR, code="ValidationError", probability=1.0, tables=frozenset((other.name,))
    )
    limits = {"records_per_second": 4}
    handle = await quiet.start({"table": table.name, "operation": operation, "limits": limits})
    await until(handle, lambda seen: bool(seen["tally"]["created"]))
    quiet.proxy.set_plan(FaultPlan(faults=(refused,)))
    kind, failure = await outcome(handle)
    quiet.proxy.set_plan(FaultPlan())
    assert kind == "Incomplete", failure
    report = quiet.ledger().reports.find(handle.id)
    assert report is not None
    given_up = report.tally[Outcome.QUARANTINED]
    assert given_up == 40 - report.tally[Outcome.CREATED] > 1
    key = next(key for key in keys if other.get(key) is None)
    other.put({**key, "theirs": {"BOOL": True}})
    scope = {"kind": "quarantined", "job": handle.id, "run": report.run}
    kind, redriven = await outcome(await quiet.start({"table": table.name, "scope": scope}))
    assert kind == "Incomplete", redriven
    tally = {name: number for name, number in redriven["tally"].items() if number}
    assert tally == {"scanned": given_up, "created": given_up - 1, "superseded": 1}
    assert other.get(key) == {**key, "theirs": {"BOOL": True}}


async def test_what_was_given_up_is_repaired_by_a_redrive(quiet: Stack, make_table: Make) -> None:
    planted = Repaired(make_table, rows=200)
    refused = Fault(
        kind=FaultKind.STATEMENT_ERROR, code="ValidationError", probability=1.0,
        tables=frozenset((planted.other.name,)),
    )  # fmt: skip
    handle = await quiet.start(planted.job(limits=SLOW))
    await until(handle, partial(has_compared, 1))
    quiet.proxy.set_plan(FaultPlan(faults=(refused,)))
    kind, failure = await outcome(handle)
    quiet.proxy.set_plan(FaultPlan())
    assert kind == "Incomplete", failure
    report = quiet.ledger().reports.find(handle.id)
    assert report is not None
    given_up = report.tally[Outcome.QUARANTINED]
    assert given_up == len(planted.kinds)
    assert report.balanced
    scope = {"kind": "quarantined", "job": handle.id, "run": report.run}
    again = {"table": planted.table.name, "scope": scope}
    state, redriven = await outcome(await quiet.start(again))
    assert state == "complete", redriven
    assert redriven["tally"]["scanned"] == given_up
    assert contents(planted.other) == contents(planted.table)
    assert quiet.ledger().failures.open(handle.id, report.run) == []


async def test_a_cancelled_repair_counts_what_it_has_written(quiet: Stack, make_table: Make) -> None:
    planted = Repaired(make_table)
    handle = await quiet.start(planted.job(limits={"records_per_second": 5, **FAST}))
    await until(handle, lambda seen: bool(seen["tally"]["scanned"] >= 5))
    await handle.cancel()
    state, _ = await outcome(handle)
    report = quiet.ledger().reports.find(handle.id)
    assert state == "CancelledError"
    assert report is not None
    assert report.balanced
    assert report.tally.settled == len(planted.kinds) - _differing(planted)
    assert report.tally.settled > 0


def _differing(planted: Planted) -> int:
    """Keys that are not the same in both tables."""
    first, other = contents(planted.table), contents(planted.other)
    return sum(first.get(key) != other.get(key) for key in first.keys() | other.keys())


def _has_scanned(number: int, seen: dict[str, Any]) -> bool:
    return bool(seen["tally"]["scanned"] >= number)
