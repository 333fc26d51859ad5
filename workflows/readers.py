"""Consistent reading for a verification: its parts, each in rounds, waiting where there is no capacity."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.faults import in_plain_words
from workflows.options import EVERYWHERE, FIRST_WAIT, LONGEST_WAIT, round_options
from workflows.running_job import RunningJob

with workflow.unsafe.imports_passed_through():
    from reindexer.items import Key
    from reindexer.models import Plan, Share, VerifyInput, VerifyResult

#: Rows behind that are named; with more the table is being written to faster than a sweep can follow.
MOST_FOUND = 10_000


@dataclass(frozen=True)
class Waiting:
    """A part that waits for capacity."""

    reason: str
    scope: str | None


class Readers:
    """The parts that are being read, each with what it waits for."""

    def __init__(self, job: RunningJob) -> None:
        self._job = job
        self._open: dict[int, Waiting | None] = {}

    @property
    def waiting(self) -> Waiting | None:
        """What all of them wait for, or one for all: then nothing is being read."""
        waiting = [part for part in self._open.values() if part is not None]
        everywhere = [part for part in waiting if part.scope in EVERYWHERE]
        return next(iter(everywhere if len(waiting) < len(self._open) else waiting), None)

    async def read(self, plan: Plan, requests: list[VerifyInput]) -> list[VerifyResult] | None:
        """All parts, a bounded number at a time; None: stopping."""
        job = self._job
        turn = asyncio.Semaphore(job.limits.shards_in_flight)

        async def one(number: int, request: VerifyInput) -> VerifyResult | None:
            async with turn:
                self._open[number] = None
                try:
                    readers = min(len(requests), job.limits.shards_in_flight)
                    return await self._whole(plan, request, readers, number)
                finally:
                    self._open.pop(number, None)

        results = await asyncio.gather(*(one(*part) for part in enumerate(requests)))
        whole = [result for result in results if result is not None]
        return whole if len(whole) == len(requests) else None

    async def _whole(self, plan: Plan, request: VerifyInput, readers: int, number: int) -> VerifyResult | None:
        """One part, in rounds, until it is read whole."""
        job = self._job
        total = VerifyResult()
        wait = 0.0
        while True:
            if wait:
                await job.gate.sleep(wait, "waiting to go on verifying")
            if not await job.gate.wait_open():
                return None
            handle = self._start(plan, request, total.cursor, readers)
            forget = job.when_changed(handle.cancel)
            try:
                result = await handle
            except ActivityError as error:
                if job.gate.open:
                    job.park(f"verification failed: {error.cause or error}")
                continue
            finally:
                forget()
            before, total = total.cursor, _plus(total, result)
            if self._told(number, result):
                job.noticed()
            if result.fault:
                job.park(in_plain_words(result.fault))
            elif result.done:
                return total
            moved = result.scanned > 0 or (request.values is not None and result.cursor != before)
            if moved:
                wait = FIRST_WAIT if result.throttled else 0.0
            else:
                wait = min(LONGEST_WAIT, max(FIRST_WAIT, 2 * wait))

    def _start(
        self, plan: Plan, request: VerifyInput, cursor: Key | None, readers: int
    ) -> workflow.ActivityHandle[VerifyResult]:
        """One round, with this part's share of the budget."""
        rate = self._job.limits.read_units_per_second
        share = Share(read_units=rate / readers if isinstance(rate, float | int) else None)
        target = plan.target.running(self._job.code)
        return workflow.start_activity(
            "verify_segment",
            request.model_copy(update={"cursor": cursor, "share": share, "target": target}),
            task_queue=plan.rounds_queue,
            result_type=VerifyResult,
            summary=f"verify {_name(request)}",
            **round_options(plan.round_seconds, plan.heartbeat_timeout),
        )

    def _told(self, number: int, result: VerifyResult) -> bool:
        """What a round of a part came back with; whether that changes anything."""
        reason = "throttled, waiting to go on verifying" + (f" ({result.throttle})" if result.throttle else "")
        now = Waiting(reason, result.throttle) if result.throttled else None
        before, self._open[number] = self._open[number], now
        return before != now


def _plus(total: VerifyResult, result: VerifyResult) -> VerifyResult:
    return result.model_copy(
        update={
            "scanned": total.scanned + result.scanned,
            "behind": total.behind + result.behind,
            "keys": (total.keys + result.keys)[:MOST_FOUND],
            "partitions": (total.partitions + result.partitions)[:MOST_FOUND],
            "read_units": total.read_units + result.read_units,
        }
    )


def _name(request: VerifyInput) -> str:
    if request.values is not None:
        return f"{len(request.values)} partitions"
    return f"{len(request.keys)} keys" if request.keys else f"segment {request.segment} of {request.total}"
