"""worker.py and its processes on this machine: for the demo, the tests and whatever measures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from testbed.processes import Keeper, ServerUnavailable

WORKER = ("worker.py",)
_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60.0  # imports take 1 to 2, on a busy machine 10
_STOP_SECONDS = 25.0  # idle workers stop at once; a round may take the 20 of its grace to hand back
_POLL_SECONDS = 0.05  # short against the start of a Python process


class Parent(Protocol):
    """The process that watches over those that work: what is used of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...


class Start(Protocol):
    """Starts one in the keeper's group; as `Keeper.spawn`, but for the command."""

    def __call__(
        self, keeper: Keeper, *, log: Path, environment: Mapping[str, str], folder: Path
    ) -> Parent: ...


class Workers:
    """One `worker.py` and its processes, in a group that dies with this process, whatever happens.

    `with` starts them, and ends them at once: call `stop` before, where they are to hand back what they do.
    `environment` is all they see of one. `command`: what Python runs instead of `worker.py`, or what starts it
    in another way.
    """

    def __init__(
        self, environment: Mapping[str, str], log: Path, command: Sequence[str] | Start = WORKER
    ) -> None:
        self.environment, self.log, self.command = dict(environment), log, command
        self._keeper: Keeper | None = None
        self._parent: Parent | None = None

    @property
    def running(self) -> bool:
        """Whether the parent of the processes runs; it ends when they have."""
        return self._parent is not None and self._parent.poll() is None

    def start(self) -> None:
        """Start them, also again, and return before they are up."""
        keeper = self._keeper = self._keeper or Keeper()
        log, environment, command = self.log, self.environment, self.command
        if isinstance(command, Sequence):
            started: Parent = keeper.spawn(
                [sys.executable, *command], log=log, environment=environment, folder=_ROOT
            )
        else:
            started = command(keeper, log=log, environment=environment, folder=_ROOT)
        self._parent = started

    def come_up(self) -> list[int]:
        """Pids, as soon as there are as many as REINDEXER_PROCESSES says. Raises `ServerUnavailable`."""
        deadline = time.monotonic() + _START_SECONDS
        while len(pids := self.children()) < int(self.environment["REINDEXER_PROCESSES"]):
            if not self.running or time.monotonic() > deadline:
                raise ServerUnavailable("The workers did not start.", self.log)
            time.sleep(_POLL_SECONDS)
        return pids

    def children(self) -> list[int]:
        """Pids of the processes that work; the parent that watches over them is none."""
        assert self._parent is not None
        # At full width: `ps` cuts its lines where COLUMNS is set, and Linux's /proc is not everywhere.
        listed = subprocess.run(
            ["ps", "-wwAo", "pid=,ppid=,command="], capture_output=True, text=True, check=True
        )
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        own = str(self._parent.pid)
        mine = [row for row in rows if len(row) == 3 and row[1] == own]
        return [int(row[0]) for row in mine if "resource_tracker" not in row[2]]  # `multiprocessing`'s own

    def kill_one(self) -> None:
        """kill -9 one process; its parent starts another."""
        os.kill(self.children()[0], signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 the parent and all its processes at once. Nothing runs: nothing happens."""
        if self._parent is None or not self.running:
            return
        for pid in [self._parent.pid, *self.children()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._parent.wait()

    def wait(self, seconds: float) -> int:
        """The exit code, once they have ended. Raises `subprocess.TimeoutExpired`."""
        assert self._parent is not None
        return self._parent.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and kill -9 where that is not enough; the exit code."""
        assert self._parent is not None
        self._parent.terminate()
        with suppress(subprocess.TimeoutExpired):
            return self.wait(_STOP_SECONDS)
        self.kill()
        return self._parent.wait()

    def close(self) -> None:
        """End all of them, at once."""
        if self._keeper is not None:
            self._keeper.release()
            self._keeper = None
        if self._parent is not None:
            self._parent.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
