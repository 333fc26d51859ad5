"""Everything on this machine: both servers, the ledger, the workers. For `demo` and `dev`.

The caller's AWS account and Temporal server are never touched: addresses are loopback, credentials are fake,
and the caller's settings are out of sight while it runs.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from temporalio.client import Client

from commands.input.exits import Exit, Stopped
from commands.input.options import EngineChoice
from commands.rendering.screen import DIM, err, line, note, say, step
from commands.temporal.server import pollers
from reindexer.connect import SEARCH_ATTRIBUTES, connect
from reindexer.settings import settings
from testbed.embedded import Engine, dynamodb_engine, temporal_server
from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.processes import ServerUnavailable, tail
from testbed.stack import Stack, stack
from testbed.workers import Workers

_ROOT = Path(__file__).resolve().parent.parent.parent
#: More processes than servers can feed are no use to a demo; fewer than two would show no sharing.
_MIN_PROCESSES, _MAX_PROCESSES = 2, 4
_WORKERS_SECONDS = 60.0  # imports on a busy machine take 5 to 10


@contextmanager
def local_stack(engine: EngineChoice, folder: Path, *, faults: float = 0.0) -> Iterator[Stack]:
    """Both servers and the ledger; ended in whatever way the body ends. `faults`: part of calls that fail."""
    with ExitStack() as running:
        try:
            with err.status("starting the servers, which are installed the first time"):
                attributes = dict.fromkeys(SEARCH_ATTRIBUTES, "Keyword")
                temporal = running.enter_context(temporal_server(logs=folder, search_attributes=attributes))
                dynamodb = running.enter_context(dynamodb_engine(engine, logs=folder))
                servers = running.enter_context(
                    stack(
                        folder,
                        temporal=temporal,
                        engine=dynamodb,
                        faults=_plan(faults, dynamodb),
                        processes=max(_MIN_PROCESSES, min(_MAX_PROCESSES, os.cpu_count() or _MIN_PROCESSES)),
                        keep_settings=True,
                    )
                )
        except ServerUnavailable as error:
            raise Stopped(Exit.NOT_FINISHED, str(error)) from error
        step("Temporal", f"{_what(temporal.how)}, Web UI {temporal.ui_url}")
        step("DynamoDB", f"{_what(dynamodb.how)}, {dynamodb.endpoint_url}")
        if writes_singly(dynamodb):
            step("", "its PartiQL writes reach no stream: the workers are denied them and use UpdateItem")
        if faults:
            step(
                "faults", f"{faults:.0%} of the workers' calls fail, half of those after they were carried out"
            )
        running.enter_context(servers.surroundings())
        yield servers


def _what(how: str) -> str:
    """Name and version of a server, without its place."""
    return how.partition(",")[0]


def _plan(faults: float, engine: Engine) -> FaultPlan | None:
    """What fails on purpose; None: nothing does."""
    denied = (Fault(kind=FaultKind.PARTIQL_DENIED),) if writes_singly(engine) else ()
    plan = FaultPlan(faults=(*denied, *(FaultPlan.mixed(faults).faults if faults else ())))
    return plan if plan.faults else None


def writes_singly(engine: Engine) -> bool:
    """Whether the job has to write records one by one, since nothing else reaches the table's stream."""
    return engine.streams_at_speed and not engine.streams_partiql


@contextmanager
def crew(servers: Stack) -> Iterator[Workers]:
    """worker.py and its processes, asked to stop in whatever way the body ends."""
    with servers.workers as workers:
        step("workers", f"{servers.processes} processes, log {workers.log}")
        try:
            yield workers
        finally:
            workers.stop()


async def ready(workers: Workers) -> Client:
    """A client, once the workers poll. Raises `Stopped` where that does not come."""
    client = await connect()
    with err.status("waiting for the workers"):
        await _crew_ready(client, workers)
    return client


async def _crew_ready(client: Client, workers: Workers) -> None:
    """Return once both queues are polled. Raises `Stopped` with the log's end where that does not come."""
    deadline = time.monotonic() + _WORKERS_SECONDS
    for queue, kind in ((settings().task_queue, "workflow"), (settings().rounds_queue, "activity")):
        while not await pollers(client, queue, kind):  # type: ignore[arg-type]  # the two words above
            if not workers.running or time.monotonic() > deadline:
                raise Stopped(Exit.INCOMPLETE, _log_of(workers, "the workers did not come up"))
            await asyncio.sleep(0.1)  # seconds; short against the time that imports take


def _log_of(workers: Workers, sentence: str) -> str:
    return f"{sentence}; the end of their log:\n{tail(workers.log)}"


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the body as Ctrl-C does: with everything put away."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def new_folder(name: str) -> Path:
    """A folder of our own for logs and data, in the machine's place for such."""
    return Path(tempfile.mkdtemp(prefix=f"reindexer-{name}-"))


def rehearsed(name: str, run: Callable[[Path], Exit], *, keep: bool) -> Exit:
    """Run a demo in a folder of its own, which is put away unless someone may want to look at its logs."""
    folder = new_folder(name)
    code, interrupted = Exit.INCOMPLETE, False
    try:
        with interrupted_by_signals():
            code = run(folder)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        put_away(folder, keep=keep or not (interrupted or code is Exit.COMPLETE))
    return code


def wait_for_interrupt(workers: Workers) -> None:
    """Sleep until Ctrl-C or SIGTERM. Raises `Stopped` where the workers end before."""
    try:
        while workers.running:
            time.sleep(0.5)  # seconds; a person waits for nothing here
    except KeyboardInterrupt:
        return
    raise Stopped(Exit.INCOMPLETE, _log_of(workers, "the workers have ended"))


def leave_up(
    workers: Workers,
    commands: Iterable[str],
    sentence: str = "Everything keeps running until Ctrl-C. In another terminal:",
) -> None:
    """Show what to try, and keep everything running until Ctrl-C. Raises `Stopped` where the workers end."""
    say()
    say(sentence)
    for command in commands:
        line(f"  {command}")
    wait_for_interrupt(workers)


def put_away(folder: Path, *, keep: bool) -> None:
    """Remove the folder, unless someone may want to look at its logs."""
    if keep:
        note(f"logs are in {folder}", DIM)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def environment_file(servers: Stack) -> Path:
    """A file for a shell to source: then `temporal`, `reindexer` and `aws` mean this stack."""
    tools = servers.folder / "bin"
    tools.mkdir(exist_ok=True)
    for name, command in (
        ("temporal", [str(servers.temporal.cli)]),
        ("reindexer", [sys.executable, str(_ROOT / "starter.py")]),
    ):
        (tools / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (tools / name).chmod(0o755)
    ours = {
        name: value
        for name, value in servers.direct_environment.items()
        if name.startswith(("AWS_", "TEMPORAL_", "REINDEXER_"))
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(ours.items())]
    path = servers.folder / "env"
    path.write_text("".join([*lines, f"export PATH={shlex.quote(str(tools))}:$PATH\n"]))
    return path


def try_next(servers: Stack, job: str) -> list[str]:
    """Commands for the plain `temporal` CLI and for ours, against this stack."""
    where = f"--address {servers.temporal.address}"
    workflow = f"temporal workflow {{}} {where} -w {job}".format
    return [
        f". {environment_file(servers)}",
        workflow("start --type ReindexTable") + f' -t {settings().task_queue} --input \'{{"table":"cities"}}\'',
        workflow("query") + " --type progress",
        workflow("signal") + """ --name pause --input '{"reason":"deploy"}'""",
        workflow("signal") + " --name resume",
        workflow("update execute") + """ --name set_limits --input '{"write_units_per_second":500}'""",
        workflow("describe"),
        f"reindexer start cities --workflow-id {job} --wait",
        f"reindexer status {job}",
    ]
