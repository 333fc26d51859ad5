"""Processes that are forked from one that has imported everything: commands, and workers.

Tests start some hundred of each, and importing costs more CPU than most of what they do. A server of
`multiprocessing` imports once; worker.py's parent is forked from it, and its processes from that. As users run
it, worker.py serves the matrix, the demo and the commands of the documents.

For the same reason Temporal's sandbox does not import our workflows for each run of one (6 ms of CPU for a
shard, 25 for a job), so that it restricts nothing in them. Histories are replayed in the whole sandbox, and
`make nightly` runs in it.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from testbed.processes import Keeper
from testbed.workers import WORKER, Parent

#: Read once, at the start of Python or by an import: what differs here has to be imported again.
_READ_AT_IMPORT = ("COLUMNS", "FORCE_COLOR", "LANG", "LC_ALL", "NO_COLOR", "TERM", "TZ")

#: Whether workers have the whole sandbox.
_SANDBOX = "SANDBOX" in os.environ

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.preloaded"])


def serves(environment: Mapping[str, str]) -> bool:
    """Whether a process with this environment may be forked. macOS's own libraries do not survive a fork."""
    names = {name for name in {*environment, *os.environ} if name.startswith("PYTHON")}
    return sys.platform != "darwin" and all(
        environment.get(name) == os.environ.get(name) for name in names.union(_READ_AT_IMPORT)
    )


def become(environment: Mapping[str, str], folder: Path, out: Path, err: Path) -> None:
    """In a forked process: what a process of its own starts with."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for place, number in ((out, 1), (err, 2)):
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)


def start(keeper: Keeper, *, log: Path, environment: Mapping[str, str], folder: Path) -> Parent:
    """worker.py's parent; see `testbed.workers.Start`."""
    if not serves(environment):
        return keeper.spawn([sys.executable, *WORKER], log=log, environment=environment, folder=folder)
    log.parent.mkdir(parents=True, exist_ok=True)
    process = FORKS.Process(target=_work, args=(keeper.group, dict(environment), folder, log, _SANDBOX))
    process.start()
    # Else `multiprocessing` would wait at our end for those that are not stopped, and they for our end.
    atexit.register(keeper.release)
    return _Forked(process)


class _Forked:
    """A process, as far as a `Popen` is one."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(WORKER, timeout or 0.0)
        return code

    def terminate(self) -> None:
        self._process.terminate()


def _work(group: int, environment: Mapping[str, str], folder: Path, log: Path, sandbox: bool) -> None:
    """As worker.py's. This process has no threads, and starts nothing of Temporal's: that would not survive."""
    os.setpgid(0, group)
    become(environment, folder, log, log)
    import worker
    from reindexer.jobs.catalogue import catalogue

    if not sandbox:
        most = SandboxRestrictions.default.with_passthrough_modules("workflows")
        shipped: Any = worker
        shipped.SandboxedWorkflowRunner = partial(SandboxedWorkflowRunner, restrictions=most)

    begun = worker.one_process

    def one_process() -> None:
        """The body of each process, which finds everything as if it had been spawned."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        logging.getLogger().handlers.clear()
        catalogue.cache_clear()  # a job's file may have been changed meanwhile
        begun()

    forking: Any = multiprocessing.get_context("fork")
    worker.one_process = one_process
    multiprocessing.get_context = lambda *_: forking
    worker.main()
