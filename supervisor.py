"""Several worker processes: one per core, started anew when killed, told together to stop."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.context import SpawnContext, SpawnProcess

log = logging.getLogger("reindexer.supervisor")


def supervise(body: Callable[[], None], count: int) -> None:
    """Run `body` in `count` processes until all ended; exits with the worst of their exit codes.

    `body` must be importable, since processes are spawned: Temporal's runtime does not survive a fork.
    SIGTERM and SIGINT are forwarded as SIGTERM. A process that a signal killed is replaced.
    """
    context = multiprocessing.get_context("spawn")
    processes = [_spawn(context, body) for _ in range(count)]
    stopping = threading.Event()

    def forward(*_: object) -> None:
        stopping.set()
        for process in processes:
            if process.is_alive():
                process.terminate()

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    while True:
        running = []
        for place, process in enumerate(processes):
            # Looked at once: who ends after this look ends the waiting below, and is not passed over.
            code = process.exitcode
            if code is not None and code < 0 and not stopping.is_set():  # by a signal, not by itself
                log.warning("process %s was killed by signal %s", process.pid, -code)
                process = processes[place] = _spawn(context, body)
                code = None
                if stopping.is_set():  # told to in between, when it was not in the list yet
                    process.terminate()
            if code is None:
                running.append(process.sentinel)
        if not running:
            break
        multiprocessing.connection.wait(running)
    sys.exit(0 if stopping.is_set() else max(abs(process.exitcode or 0) for process in processes))


def _spawn(context: SpawnContext, body: Callable[[], None]) -> SpawnProcess:
    process = context.Process(target=_guarded, args=(body, os.getpid()), daemon=True)
    process.start()
    return process


def _guarded(body: Callable[[], None], parent: int) -> None:
    """The body, ended with its parent, also when that is killed."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    body()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)  # seconds; an orphan that works for one second more does no harm
    os.kill(os.getpid(), signal.SIGTERM)
