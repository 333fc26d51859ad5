"""Reports of jobs that have not ended by themselves: what the ledger knows, and what Temporal says of them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

import commands.report
import starter
from reindexer.ledger import Ledger
from reindexer.models import QuarantineEntry, Report
from reindexer.settings import settings
from reindexer.tally import Outcome, Tally
from testbed.embedded import TemporalServer
from tests.reports import a_report
from tests.stand_in import ARN, RUN, working

AS_OF = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def ledger(dynamodb: Any, temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger, and settings by which the commands find it, and the Temporal server."""
    made = Ledger(f"ledger-{uuid.uuid4().hex[:8]}")
    made.store.create()
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.address)
    monkeypatch.setenv("REINDEXER_LEDGER_TABLE", made.table)
    monkeypatch.setenv("REINDEXER_TASK_QUEUE", f"stand-in-{uuid.uuid4().hex[:8]}")
    settings.cache_clear()
    yield made
    settings.cache_clear()
    dynamodb.delete_table(TableName=made.table)


@pytest.fixture
async def client(temporal: TemporalServer) -> Client:
    return await temporal.connect()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command: (exit code, stdout, stderr)."""

    async def call(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(starter.run, list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def interim(job: str, **changes: Any) -> Report:
    fields: dict[str, Any] = {
        "job": job,
        "run": RUN,
        "state": "running",
        "as_of": AS_OF,
        "tally": Tally(scanned=100, updated=90),
        "verification": None,
        "started_at": AS_OF - timedelta(minutes=2),
        **changes,
    }
    return a_report(**fields)


async def begin(client: Client, run: str = RUN) -> WorkflowHandle[Any, Any]:
    """A job that is planned, and has cycled once."""
    queue, name = settings().task_queue, f"job-{uuid.uuid4().hex[:8]}"
    await client.start_workflow("ReindexTable", {"run": run}, id=name, task_queue=queue)
    handle = client.get_workflow_handle(name)
    await handle.signal("cycle")
    deadline = time.monotonic() + 20
    while (await handle.query("progress"))["cycle"] < 1 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return handle


def give_up(ledger: Ledger, job: str, *ids: str) -> None:
    for name in ids:
        ledger.failures.add(
            QuarantineEntry(
                job=job,
                run=RUN,
                table_arn=ARN,
                version=7,
                stamp=RUN,
                key={"id": {"S": name}},
                error="ValidationException",
                message="no",
                attempts=5,
                applied="no",
                at=AS_OF,
            )
        )


async def test_of_a_job_that_runs_the_ledger_is_shown_with_exit_code_3(
    ledger: Ledger, client: Client, run: Run
) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        ledger.reports.put(interim(handle.id))
        code, out, err = await run("report", handle.id)
        assert (code, out.split()[0]) == (3, "running")
        assert f"{handle.id} has not ended; this is what the ledger knows" in err
        assert "as of 2026-01-02 03:04:05 UTC" in err
        code, out, _ = await run("report", handle.id, "--json")
        assert (code, json.loads(out)["state"], json.loads(out)["as_of"]) == (
            3,
            "running",
            "2026-01-02T03:04:05Z",
        )
        await handle.terminate()


async def test_a_terminated_job_is_reported_with_what_the_ledger_knows(
    ledger: Ledger, client: Client, run: Run
) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        ledger.reports.put(interim(handle.id, warnings=["no stream"]))
        give_up(ledger, handle.id, "a", "b", "c")
        ledger.failures.close(handle.id, RUN, {"id": {"S": "c"}}, "discarded", "x")
        await handle.terminate(reason="by hand")
    for arguments in (("report", handle.id), ("status", handle.id), ("watch", handle.id)):
        code, out, err = await run(*arguments)
        assert (code, out.split()[0]) == (1, "terminated"), err
        assert "counts are lower bounds, as of 2026-01-02 03:04:05 UTC" in out
        assert "the next job on the table takes it over" in out
        assert "quarantined" in out
        assert f"reindexer redrive {handle.id}" in out
    code, out, _ = await run("report", handle.id, "--json")
    found = Report.model_validate(json.loads(out))
    assert (code, found.state, found.as_of) == (1, "terminated", AS_OF)
    assert (found.tally[Outcome.QUARANTINED], found.tally[Outcome.UPDATED], found.tally.scanned) == (3, 90, 100)
    assert found.warnings[-1] == "no stream"
    kept = ledger.reports.find(handle.id)
    assert kept
    assert kept.state == "running", "only shown so: the ledger holds what the job wrote"


async def test_a_job_that_temporal_has_forgotten_was_terminated(
    ledger: Ledger, client: Client, run: Run
) -> None:
    job = f"job-{uuid.uuid4().hex[:8]}"
    ledger.reports.put(interim(job, writer="none"))
    code, out, _ = await run("report", job, "--json")
    assert (code, json.loads(out)["state"]) == (1, "terminated")
    assert not any("lock" in warning for warning in json.loads(out)["warnings"]), "it only reads"


async def test_a_later_job_of_the_same_name_does_not_make_it_running(
    ledger: Ledger, client: Client, run: Run
) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client, run="stamp00002")
        ledger.reports.put(interim(handle.id))
        code, out, _ = await run("report", handle.id, "--json")
        assert (code, json.loads(out)["state"]) == (1, "terminated")
        await handle.terminate()
        code, out, _ = await run("status", handle.id)
        assert (code, "was terminated" in out) == (1, True), "of the run that left nothing, not of the other"


async def test_a_job_that_completed_without_its_last_report_is_complete(
    ledger: Ledger, client: Client, run: Run
) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        ledger.reports.put(interim(handle.id))
        await handle.signal("finish")
        await handle.result()
    code, out, _ = await run("report", handle.id, "--json")
    assert (code, json.loads(out)["state"]) == (0, "complete")


async def test_a_cancelled_job_without_its_last_report_is_cancelled(
    ledger: Ledger, client: Client, run: Run
) -> None:
    async with working(client, settings().task_queue):
        handle = await begin(client)
        ledger.reports.put(interim(handle.id))
        code, out, err = await run("cancel", handle.id)
    assert (code, out.split()[0]) == (0, "cancelled"), err
    assert "counts are lower bounds" in out
    code, out, _ = await run("report", handle.id, "--json")
    assert (code, json.loads(out)["state"]) == (1, "cancelled")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TEMPORAL_ADDRESS", "127.0.0.1:9", "no Temporal server answers at 127.0.0.1:9"),
        ("TEMPORAL_NAMESPACE", "elsewhere", "elsewhere is not found"),
    ],
)
async def test_without_temporal_both_facts_are_told(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    ledger.reports.put(interim("j"))
    monkeypatch.setenv(variable, value)
    code, out, err = await run("report", "j", "--json")
    assert (code, json.loads(out)["state"]) == (3, "running")
    assert f"the ledger knows of run {RUN} of j as of 2026-01-02 03:04:05 UTC" in err
    assert "whether it still runs is unknown" in err
    assert says in err


async def test_a_server_that_is_silent_is_not_waited_for(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.reports.put(interim("j"))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections queue up, no one reads
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(commands.report, "_SECONDS", 1.0)
        begun = time.monotonic()
        code, out, err = await run("report", "j")
    assert (code, out.split()[0]) == (3, "running")
    assert "Temporal has not answered within 1 s" in err
    assert time.monotonic() - begun < 10
