"""Running a job's function with a bound in time, in a thread beside the round's own.

A Python function cannot be stopped from outside, and a round that hangs with it would neither heartbeat nor
pause. So it runs in a helper thread, a few records per handover, while the round's thread looks at the clock. A
helper that is over its time is asked to end (that reaches Python code, not a call that blocks in C) and is left
behind.

Not bounded: code that never lets go of the interpreter, such as a regular expression that backtracks for hours.
"""

from __future__ import annotations

import contextlib
import ctypes
import decimal
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reindexer.errors import EnvironmentFault, Interrupted, RecordFailed, TimeLimit
from reindexer.round_context import TICK_SECONDS, RoundContext
from reindexer.values import EXACT

T = TypeVar("T")
A = TypeVar("A")

#: Helpers of this process that hang beyond their time: each holds a thread, and whatever it was waiting for.
MAX_HANGING = 16
#: Seconds a pure function gets to end once the round is asked to stop: a pause is not to take longer than two.
_GRACE_SECONDS = 1.0


class _Over(BaseException):
    """Raised inside of a helper that is over its time; no Exception, so that functions do not swallow it."""


@dataclass(slots=True)
class _Task(Generic[A, T]):
    """Arguments to run through; `results` grows as they are done."""

    function: Callable[[A], T]
    arguments: Sequence[A]
    results: list[T | Exception] = field(default_factory=list)
    since: float = 0.0  # when the one under way was begun
    stop: bool = False  # begin no further one
    over: bool = False  # the one under way is over its time
    done: queue.SimpleQueue[None] = field(default_factory=queue.SimpleQueue)

    def run(self) -> None:
        for argument in self.arguments:
            if self.stop:
                break
            self.since = time.monotonic()
            try:
                self.results.append(self.function(argument))
            except Exception as error:  # the job's own: it is the record's failure
                self.results.append(error)
            except (SystemExit, KeyboardInterrupt) as error:  # would end this thread, and pass for a time limit
                self.results.append(RecordFailed(type(error).__name__, f"the function raised it: {error}"))


class _Helper:
    """A thread that runs tasks one after another; taken from a pool and put back by who uses it."""

    def __init__(self) -> None:
        self.tasks: queue.SimpleQueue[_Task[object, object]] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._serve, name="job", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        decimal.setcontext(EXACT.copy())  # 38 digits, as DynamoDB has them
        with contextlib.suppress(_Over):
            while True:
                task = self.tasks.get()
                task.run()
                task.done.put(None)

    def abandon(self) -> None:
        """Tell it to end, and never use it again."""
        number = self.thread.ident
        if number is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(number), ctypes.py_object(_Over))
        with _lock:
            _hanging[:] = [thread for thread in _hanging if thread.is_alive()] + [self.thread]


_lock = threading.Lock()
_idle: list[_Helper] = []
_hanging: list[threading.Thread] = []


def hanging() -> int:
    """Helpers of this process that were left behind and still run."""
    with _lock:
        return sum(thread.is_alive() for thread in _hanging)


class Bounded(Generic[A, T]):
    """`function` with `seconds` for each argument. `context`: the round's, which goes on heartbeating.

    `may_leave`: the function is pure, so that it may be left in the middle when the round is asked to stop.
    """

    def __init__(
        self,
        function: Callable[[A], T],
        seconds: float,
        context: RoundContext | None = None,
        *,
        may_leave: bool = True,
    ) -> None:
        self._function, self._seconds, self._context = function, seconds, context
        self._may_leave = may_leave

    def run(self, arguments: Sequence[A]) -> list[T | Exception]:
        """Results or exceptions in the order of the arguments, one at least.

        Shorter where one was over its time (its exception is the last) or the round was asked to stop. Raises
        `Interrupted` where there is none at all, `EnvironmentFault` where too many helpers hang.
        """
        if hanging() >= MAX_HANGING:
            raise EnvironmentFault(
                "JobHangs", f"{MAX_HANGING} calls of job functions hang in this worker process; restart it"
            )
        with _lock:
            helper = _idle.pop() if _idle else None
        helper = helper or _Helper()
        task: _Task[A, T] = _Task(self._function, arguments)
        begun = task.since = time.monotonic()
        helper.tasks.put(task)  # type: ignore[arg-type]  # a helper does not look at the types
        if self._wait(task, begun):
            with _lock:
                _idle.append(helper)
            results = task.results
        else:
            results = list(task.results)  # before it is asked to end, so that it adds none
            helper.abandon()
            if task.over:
                results.append(TimeLimit(self._seconds))
        if not results:
            raise Interrupted("asked to stop")
        return results

    def _wait(self, task: _Task[A, T], begun: float) -> bool:
        """Until the task is done. False: left in the middle."""
        leave_at: float | None = None
        since, held, looked_at = begun, 0.0, begun
        while True:
            try:
                task.done.get(timeout=TICK_SECONDS)
                return True
            except queue.Empty:
                pass
            now = time.monotonic()
            if task.since != since:
                since, held = task.since, 0.0
            # A look that comes late: other code held the interpreter, and the function stood still too. Up to
            # two ticks are a busy machine's own delay.
            held += max(0.0, now - max(since, looked_at) - 2 * TICK_SECONDS)
            looked_at = now
            if now - since - held > self._seconds:
                task.stop = task.over = True
                return False
            if self._context is None:
                continue
            self._context.heartbeat()
            if not self._context.stopping():
                continue
            task.stop = True
            leave_at = leave_at or now + _GRACE_SECONDS
            if self._may_leave and now > leave_at:
                return False
