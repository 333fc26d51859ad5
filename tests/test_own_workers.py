"""Jobs with workers of their own: who does what, and what is said where those workers are missing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from testbed.job import outcome, progress, until
from testbed.stack import Stack
from testbed.workers import Workers
from tests.cli import command
from tests.stack import events
from tests.tables import Table
from tests.test_replay import replay
from tests.written_jobs import HEAD

MakeTable = Callable[..., Table]

SHOUT = """
task_queue = {queue!r}
def transform(item, params):
    return Update(set={{"name": item["name"].upper()}})
"""
#: What only the job's own workers may do. The plan is asked for twice: first of those who know the queue.
OWN = {"reindex_round", "reindex_record", "quarantine_record", "verify_segment", "dry_run"}


class House:
    """Two kinds of workers, each with a folder of jobs, on task queues of this test alone."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.queue, self.own_queue = stack, f"all-{folder.name}", f"own-{folder.name}"
        self.folder, self._running = folder, contextlib.ExitStack()

    def environment(self, of: str, queue: str) -> dict[str, str]:
        """Of workers whose job file names that queue."""
        jobs = self.folder / of
        jobs.mkdir(exist_ok=True)
        (jobs / "shout.py").write_text(HEAD + SHOUT.format(queue=queue))
        settings = {"REINDEXER_JOBS": str(jobs), "REINDEXER_PROCESSES": "1"}
        return self.stack.beside(self.queue, settings).environment

    def main(self) -> Workers:
        """Workers of workflows, and of jobs without workers of their own."""
        return self._start(self.environment("main", self.own_queue), "main.log")

    def own(self, names: str | None = None) -> Workers:
        """The job's workers; `names`: the queue in their copy of the job's file."""
        environment = self.environment("own", names or self.own_queue)
        return self._start({**environment, "REINDEXER_JOB_QUEUE": self.own_queue}, "own.log")

    async def begin(self, table: Table, **more: Any) -> WorkflowHandle[Any, Any]:
        client = await self.stack.connect()
        request = {"table": table.name, "operation": {"kind": "transform", "job": "shout"}, **more}
        number = len(list(self.folder.glob("job-*")))
        (self.folder / f"job-{number}").touch()
        name = f"job-{self.folder.name}-{number}"
        return await client.start_workflow("ReindexTable", request, id=name, task_queue=self.queue)

    def _start(self, environment: dict[str, str], log: str) -> Workers:
        made = Workers(environment, self.folder / log, self.stack.workers.command)
        return self._running.enter_context(made)

    def close(self) -> None:
        self._running.close()


@pytest.fixture
def house(quiet: Stack, tmp_path: Path) -> Iterator[House]:
    built = House(quiet, tmp_path)
    yield built
    built.close()


async def who_did_what(handle: WorkflowHandle[Any, Any]) -> list[tuple[str, int]]:
    """(activity, or "workflow" for a workflow task; process id of who took it on), shards included."""
    did, names = [], {}
    client = handle._client
    async for event in events(handle):
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name:
            names[event.event_id] = scheduled.activity_type.name
        began = event.activity_task_started_event_attributes
        if began.identity:
            did.append((names[began.scheduled_event_id], _pid(began.identity)))
        decided = event.workflow_task_completed_event_attributes
        if decided.identity:
            did.append(("workflow", _pid(decided.identity)))
        child = event.child_workflow_execution_started_event_attributes.workflow_execution
        if child.workflow_id:
            did += await who_did_what(client.get_workflow_handle(child.workflow_id))
    return did


def _pid(identity: str) -> int:
    return int(identity.split("@")[0])


async def test_a_jobs_own_workers_do_all_that_runs_its_code_and_no_workflow(
    house: House, make_table: MakeTable
) -> None:
    main, own = house.main(), house.own()
    table = make_table()
    table.fill(120, name={"S": "ulm"})
    table.put({"id": {"S": "bad"}, "name": {"N": "1"}})

    tried = await house.begin(table, dry_run=True)
    kind, report = await outcome(tried)
    assert (kind, report["dry_run"]["tally"]["updated"]) == ("Incomplete", 120), "one was given up"
    whole = await house.begin(table, total_segments=2)
    kind, report = await outcome(whole)
    assert (kind, report["tally"]["updated"], report["tally"]["quarantined"]) == ("Incomplete", 120, 1)
    run = report["run"]
    table.put({"id": {"S": "late"}, "name": {"S": "bonn"}})
    late = {"kind": "keys", "keys": [{"id": "late"}]}
    single = await house.begin(table, scope=late, isolation="record")
    kind, report = await outcome(single)
    assert (kind, report["tally"]["updated"]) == ("complete", 1)

    redecide = {"kind": "quarantined", "job": whole.id, "run": run}
    redriven = await house.begin(table, scope=redecide)
    kind, report = await outcome(redriven)
    assert (kind, report["tally"]["quarantined"]) == ("Incomplete", 1)

    for handle in (whole, redriven):
        await replay((await handle.fetch_history()).to_json())
    did = [entry for handle in (tried, whole, single, redriven) for entry in await who_did_what(handle)]
    code = report["code"][:12]
    assert f"jobs shout ({code})" in (house.folder / "own.log").read_text()
    assert "; jobs none" in (house.folder / "main.log").read_text()
    [main_pid], [own_pid] = main.children(), own.children()
    assert {name for name, pid in did if pid == own_pid} == {"make_plan", *OWN}
    assert {name for name, pid in did if pid == main_pid} & OWN == set()
    assert {pid for name, pid in did if name == "workflow"} == {main_pid}
    assert {pid for _, pid in did} == {main_pid, own_pid}


@pytest.mark.alone  # the others have to poll within the seconds that the command gives them
@pytest.mark.long
async def test_without_its_own_workers_the_job_waits_says_so_and_can_be_cancelled(
    house: House, make_table: MakeTable
) -> None:
    house.main().come_up()
    table = make_table(rows=3)
    environment = {
        **house.environment("main", house.own_queue),
        "AWS_ENDPOINT_URL_DYNAMODB": house.stack.engine.endpoint_url,
    }
    name = f"job-{house.folder.name}"
    begin = ("start", table.name, "--job", "shout", "--workflow-id", name, "--yes", "--json")
    code, out, err = await asyncio.to_thread(command, environment, *begin)
    assert (code, json.loads(out)["workers"]) == (3, False), err
    assert f"no worker polls the task queue {house.own_queue} " in err
    assert f"REINDEXER_JOB_QUEUE={house.own_queue} python worker.py" in err

    code, out, _ = await asyncio.to_thread(command, environment, "doctor", "--json")
    [finding] = [f for f in json.loads(out)["findings"] if f["what"] == "jobs shout"]
    assert (code, finding["good"]) == (1, False)
    assert finding["found"] == f"no worker polls task queue {house.own_queue}"
    assert f"REINDEXER_JOB_QUEUE={house.own_queue}" in finding["todo"]

    handle = (await house.stack.connect()).get_workflow_handle(name)
    seen = await progress(handle)
    assert (seen["state"], house.own_queue in seen["reason"]) == ("planning", True)
    await handle.cancel()
    assert (await outcome(handle, 30))[0] == "CancelledError"
    assert not any("reindexRun" in item for item in table.items())


async def test_a_job_waits_for_its_own_workers_and_goes_on_when_they_come(
    house: House, make_table: MakeTable
) -> None:
    house.main()
    table = make_table()
    table.fill(30, name={"S": "ulm"})
    handle = await house.begin(table)
    await until(handle, lambda p: bool(p["reason"]))
    house.own()
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"]) == ("complete", 30)


async def test_workers_with_different_files_of_the_job_are_named(house: House, make_table: MakeTable) -> None:
    house.main()
    house.own(names="elsewhere")
    kind, details = await outcome(await house.begin(make_table(rows=1)))
    assert kind == "BadInput"
    assert (
        f"workers on task queue {house.own_queue} have another file of this job, which says elsewhere"
        in (details["message"])
    )
