"""Redriven deletions: what the earlier run knew of its delete marks decides what becomes of the record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reindexer.models import Isolated, JobInput, KeyAttribute, KeyList, QuarantineEntry, Unconfirmed
from reindexer.planning.redrive import plan_redrive
from reindexer.tally import Tally
from testbed.job import outcome
from testbed.stack import Stack
from tests.driving import shard
from tests.model_table import ModelTable, Plan
from tests.tables import Table
from tests.written_jobs import aim, offer, write_job
from workflows.job.shard import beginning

MakeTable = Callable[..., Table]
KEY = {"id": {"S": "row-0"}}
ROW = {**KEY, "age": {"N": "20"}}
MARKED = {**ROW, "reindexVersion": {"N": "7"}, "reindexRun": {"S": "run-1/delete"}}
OVERWRITTEN = {**ROW, "reindexVersion": {"N": "7"}, "reindexRun": {"S": "another"}}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    text = """
        def transform(item, params):
            if item["age"] > 99:
                raise ValueError("too old")
            return Delete()
    """
    made = write_job(tmp_path, text)
    offer(monkeypatch, made)
    return made


def entry(key: Any = KEY, **more: Any) -> QuarantineEntry:
    fields: dict[str, Any] = {
        "job": "job-a", "run": "old", "table_arn": ARN, "version": 7, "stamp": "run-1", "key": key,
        "error": "E", "message": "", "attempts": 12, "applied": "no", "at": datetime(2026, 11, 21, tzinfo=UTC),
    }  # fmt: skip
    return QuarantineEntry(**(fields | more))


class Failures:
    """A ledger that has these failures and nothing else."""

    def __init__(self, *entries: QuarantineEntry) -> None:
        self._entries = list(entries)
        self.failures = self.reports = self

    def open(self, *_: Any) -> list[QuarantineEntry]:
        return self._entries

    def find(self, *_: Any) -> None:
        return None


def redriven(*entries: QuarantineEntry) -> KeyList:
    """The source of their redrive, as it travels."""
    scope = {"kind": "quarantined", "job": "job-a", "run": "old"}
    job = JobInput.model_validate({"table": "t", "scope": scope})
    schema = [KeyAttribute(name="id", type="S")]
    [source] = plan_redrive(job, job.scope, ARN, schema, Failures(*entries)).sources  # type: ignore[arg-type]
    return KeyList.model_validate(source.model_dump(mode="json"))


SENT = {"applied": "unknown", "deleting": True, "marked": True}
MARK_SENT = {"applied": "unknown", "marked": True}


@pytest.mark.parametrize("isolation", ["batch", "record"])
@pytest.mark.parametrize(
    ("known", "row", "what"),
    [
        (SENT, None, "deleted"),
        (MARK_SENT, None, "vanished"),
        ({"applied": "unknown"}, None, "vanished"),
        ({}, None, "vanished"),
        ({"error": "MarkOverwritten", "marked": True}, None, "vanished"),
        ({"error": "MarkOverwritten"}, None, "vanished"),  # as an older worker has listed it
        (SENT, OVERWRITTEN, "MarkOverwritten"),
        (MARK_SENT, OVERWRITTEN, "MarkOverwritten"),
        ({"error": "MarkOverwritten", "marked": True}, OVERWRITTEN, "MarkOverwritten"),
        ({"error": "MarkOverwritten"}, OVERWRITTEN, "MarkOverwritten"),
        ({"applied": "unknown"}, OVERWRITTEN, "current"),
        ({}, OVERWRITTEN, "current"),
    ],
)
def test_a_record_is_judged_by_what_was_known_of_its_mark(
    job: Any, known: dict[str, Any], row: Any, what: str, isolation: str
) -> None:
    model = ModelTable([] if row is None else [row])
    source = redriven(entry(**known))
    carried = shard(model, source=source, target=aim(job), isolation=isolation)
    carried.running.state = beginning(source) or carried.running.state
    carried.run()
    settled = [name for name, count in carried.tally.model_dump().items() if count and name != "scanned"]
    assert [*settled, *(record.error for record in carried.isolated)] == [what]
    assert all(record.given_up and record.marked for record in carried.isolated)
    assert len(model.rows) == (row is not None)


@pytest.mark.parametrize("row", [ROW, MARKED])
def test_a_record_that_is_still_there_is_deleted_now(job: Any, row: Any) -> None:
    model, source = ModelTable([row]), redriven(entry(**SENT))
    carried = shard(model, source=source, target=aim(job))
    carried.running.state = beginning(source) or carried.running.state
    assert carried.run().tally == Tally(scanned=1, deleted=1)
    assert model.rows == {}


def given_up(job: Any, model: ModelTable) -> Isolated:
    carried = shard(model, target=aim(job)).run()
    [record] = carried.isolated
    assert record.given_up
    return record


def test_a_record_whose_second_write_is_refused_keeps_that_it_is_marked(job: Any) -> None:
    """1 reads, 2 marks; from 3 on every call that names the record is refused. Its mark has been applied."""
    identity = ("S", "row-0")

    def plan(call: int) -> Plan | None:
        if call == 3:
            model.poison.add((identity,))
        return None

    model = ModelTable([ROW], plan=plan)
    record = given_up(job, model)
    assert (record.deleting, record.marked, record.unknown) == (True, True, True)


def test_a_marked_record_that_its_function_fails_on_keeps_that_it_is_marked(job: Any) -> None:
    record = given_up(job, ModelTable([{**MARKED, "age": {"N": "100"}}]))
    assert (record.error, record.deleting, record.unknown) == ("ValueError", True, True)
    record = given_up(job, ModelTable([{**ROW, "age": {"N": "100"}}]))
    assert (record.error, record.deleting, record.marked, record.unknown) == ("ValueError", False, False, False)


def test_the_failures_of_a_redrive_travel_by_what_is_known_of_each() -> None:
    keys = [{"id": {"S": name}} for name in "abcd"]
    source = redriven(
        entry(keys[0]),
        entry(keys[1], applied="unknown"),
        entry(keys[2], **SENT),
        entry(keys[3], error="MarkOverwritten"),
    )
    assert (source.keys, source.marked) == (keys, keys[2:])
    assert source.unconfirmed == [Unconfirmed(key=keys[1]), Unconfirmed(key=keys[2], deletion=True)]


async def test_a_redrive_counts_what_the_earlier_run_deleted(quiet: Stack, make_table: MakeTable) -> None:
    table = make_table()
    table.put({"id": {"S": "kept"}, "reindexVersion": {"N": "7"}, "reindexRun": {"S": "another"}})
    known: dict[str, dict[str, Any]] = {
        "gone": SENT,
        "never": {"applied": "unknown"},
        "kept": {"error": "MarkOverwritten"},
    }
    name = f"deleting-{table.name}"
    for key, more in known.items():
        quiet.ledger().failures.add(entry({"id": {"S": key}}, job=name, table_arn=table.arn, **more))
    asked = {
        "table": table.name,
        "operation": {"kind": "transform", "job": "expire", "params": {"older_than_days": 30}},
        "scope": {"kind": "quarantined", "job": name, "run": "old"},
    }
    kind, report = await outcome(await quiet.start(asked))
    tally = {name: count for name, count in report["tally"].items() if count}
    assert (kind, tally) == ("Incomplete", {"scanned": 3, "deleted": 1, "vanished": 1, "quarantined": 1})
    [open_] = quiet.ledger().failures.open(report["job"], report["run"])
    assert (open_.error, open_.marked, open_.key) == ("MarkOverwritten", True, {"id": {"S": "kept"}})
