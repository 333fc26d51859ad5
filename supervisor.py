"""Several worker processes: one per core, replaced when they die, stopped together."""

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

#: The exit code of settings that do not suffice: a process started again would end in the same way.
_BAD_SETTINGS = 2
#: Seconds before one that ended within `_SOON` of its start is replaced, doubled each time up to the longest:
#: what makes it crash is asked again every half minute, and costs nothing in between.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_SOON = 60.0  # seconds; one that has worked for longer has not crashed at once


def pause_before(crashes: int) -> float:
    """Seconds before a process is replaced that has ended this many times in a row soon after its start."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(crashes - 1, 10)) if crashes else 0.0


def supervise(body: Callable[[], None], count: int) -> None:
    """Run `body` in `count` processes until all ended; exits with the worst of their exit codes.

    `body` must be importable, since processes are spawned: Temporal's runtime does not survive a fork.
    SIGTERM and SIGINT are forwarded as SIGTERM. A process that a signal killed or an error ended is replaced,
    after a growing pause where that happens soon after its start; not one that ends with 0, or refuses its
    settings with 2.
    """
    context = multiprocessing.get_context("spawn")
    processes = [_spawn(context, body) for _ in range(count)]
    started, crashes, due = [time.monotonic()] * count, [0] * count, dict[int, float]()
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
            if code not in (None, 0, _BAD_SETTINGS) and not stopping.is_set() and place not in due:
                now = time.monotonic()
                crashes[place] = crashes[place] + 1 if now - started[place] < _SOON else 0
                # A first kill says nothing of the process: it is replaced at once.
                pause = pause_before(max(0, crashes[place] - (code < 0)))
                due[place] = now + pause
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                log.warning("process %s %s; it is replaced in %.0f s", process.pid, how, pause)
            if place in due and time.monotonic() >= due[place] and not stopping.is_set():
                del due[place]
                started[place] = time.monotonic()
                process = processes[place] = _spawn(context, body)
                code = None
                if stopping.is_set():  # asked to in between, when it was not in the list yet
                    process.terminate()
            if code is None:
                running.append(process.sentinel)
        if not running and (stopping.is_set() or not due):
            break
        wait = max(0.0, min(due.values()) - time.monotonic()) if due and not stopping.is_set() else None
        if running:
            multiprocessing.connection.wait(running, wait)
        else:
            stopping.wait(wait)
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
