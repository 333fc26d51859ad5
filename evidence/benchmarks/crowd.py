"""The same work in several processes that begin at the same moment, measured from there."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from evidence.benchmarks.measured import Run
from evidence.benchmarks.procfs import cpu_seconds, peak_mb

#: Makes ready whatever a long-lived worker would have ready (clients, connections), and returns the work: a
#: function that does its part and says how many records that was. Gets (number, count, *arguments).
Prepare = Callable[..., Callable[[], int]]

_READY_SECONDS = 60.0  # imports and clients take 1 to 2, on a busy machine 10


def crowd(prepare: Prepare, count: int, *arguments: Any) -> Run:
    """Run the work in `count` spawned processes. Raises `RuntimeError` with the traceback if one fails."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    pipes, processes = [], []
    for number in range(count):
        here, there = context.Pipe(duplex=False)
        process = context.Process(
            target=_body, args=(there, barrier, prepare, number, count, arguments), daemon=True
        )
        process.start()
        there.close()  # else its end would not be seen here when the process dies
        pipes.append(here)
        processes.append(process)
    try:
        answers = [_answer(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.terminate()  # nothing to one that has ended
            process.join()
    began, ended = min(a["began"] for a in answers), max(a["ended"] for a in answers)
    return Run(
        records=sum(a["records"] for a in answers),
        seconds=ended - began,
        cpu=sum(a["cpu"] for a in answers),
        peak_mb=max(a["peak_mb"] for a in answers),
    )


def _answer(pipe: Connection) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = pipe.recv()
    except EOFError:
        raise RuntimeError("a process of the benchmark was killed") from None
    if "failed" in answer:
        raise RuntimeError(answer["failed"])
    return answer


def _body(
    pipe: Connection, barrier: Barrier, prepare: Prepare, number: int, count: int, arguments: tuple[Any, ...]
) -> None:
    try:
        work = prepare(number, count, *arguments)
        barrier.wait(_READY_SECONDS)
        # CLOCK_MONOTONIC is the machine's, so that the processes' times can be compared.
        began, before = time.monotonic(), cpu_seconds(os.getpid())
        records = work()
        pipe.send(
            {
                "records": records,
                "began": began,
                "ended": time.monotonic(),
                "cpu": cpu_seconds(os.getpid()) - before,
                "peak_mb": peak_mb(os.getpid()),
            }
        )
    except BaseException:
        barrier.abort()  # the others must not wait for us
        pipe.send({"failed": traceback.format_exc()})
