"""Isolated records of a shard: each its own activity, a few at a time, then settled or quarantined."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.exceptions import TimeoutError as ActivityTimeout

from workflows.controls import handed_back
from workflows.faults import in_plain_words
from workflows.options import CONTROL, RECORDS_AT_ONCE, record_options
from workflows.shard.running_shard import RunningShard

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.quarantine import QuarantineActivities
    from activities.record import RecordActivities
    from reindexer.items import key_text
    from reindexer.models import Isolated, QuarantineInput, RecordInput, RecordResult, Share
    from reindexer.models.folding import after_record


class Records:
    """Works off `state.isolated` of its shard. A record leaves that list only when it has its outcome."""

    def __init__(self, shard: RunningShard) -> None:
        self._shard = shard
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._settled = 0  # ever; to see that one was

    def start(self) -> None:
        """Start as many as may run at once."""
        if not self._shard.may_work:
            return
        for record in self._shard.state.isolated:
            name = key_text(record.key)
            if len(self._tasks) >= RECORDS_AT_ONCE:
                return
            if name not in self._tasks:
                task = asyncio.ensure_future(self._one(name, record))
                self._tasks[name] = task
                task.add_done_callback(lambda _, name=name: self._tasks.pop(name, None))  # type: ignore[misc]

    async def finish_open(self) -> None:
        """Wait until none is open."""
        await workflow.wait_condition(lambda: not self._tasks)

    async def wait_for_one(self) -> None:
        """Wait until one was settled, all came back, or the shard gets another order."""
        before, seq = self._settled, self._shard.control.seq
        await workflow.wait_condition(
            lambda: (
                self._settled > before
                or not self._tasks
                or self._shard.control.seq != seq
                or not self._shard.may_work
            )
        )

    def share_of_round(self, share: Share) -> Share:
        """What the round may use: all, or half while isolated records are under way."""
        return _part(share, 2) if self._tasks else share

    async def _one(self, name: str, record: Isolated) -> None:
        shard = self._shard
        if not record.given_up:
            result = await self._try(name, record)
            self._take(result)
            if result.outcome:
                return
            if result.fault:
                shard.park(in_plain_words(result.fault))
            if result.waiting:
                turn = shard.turn
                await shard.gate.sleep(15.0, f"waiting to try {name} again", until=lambda: shard.turn != turn)
            record = result.record
            if not record.given_up:
                return  # back to pending
        await self._quarantine(name, record)

    async def _try(self, name: str, record: Isolated) -> RecordResult:
        """One activity with its own retries, and what it reported in the end."""
        shard, request = self._shard, self._shard.request
        turn = shard.turn
        handle = workflow.start_activity_method(
            RecordActivities.reindex_record,
            RecordInput(
                target=shard.target,
                record=record,
                # Over all that may run at once: all of the shard's share, or half where rounds use the other.
                share=_part(shard.share, RECORDS_AT_ONCE * (1 if shard.state.done else 2)),
                heartbeat_timeout=request.heartbeat_timeout,
                lock=request.lock,
            ),
            task_queue=request.records_queue,
            summary=_summary(name, record),
            **record_options(request.heartbeat_timeout),
        )
        try:
            return await handed_back(handle, lambda: shard.turn != turn)
        except asyncio.CancelledError:
            return RecordResult(outcome=None, record=record)  # it was never scheduled
        except ActivityError as error:
            if shard.turn != turn:
                return _interrupted(error, record)
            return _after_last_try(error, record)

    async def _quarantine(self, name: str, record: Isolated) -> None:
        request = self._shard.request
        try:
            result = await workflow.execute_activity_method(
                QuarantineActivities.quarantine_record,
                QuarantineInput(target=self._shard.target, job=request.job, run=request.run, record=record),
                task_queue=request.records_queue,
                summary=_summary(name, record),
                **CONTROL,
            )
        except ActivityError as error:
            self._shard.park(f"{name[:200]} could not be quarantined: {str(error.cause)[:300]}")
            return
        self._take(result)
        if result.fault:
            self._shard.park(in_plain_words(result.fault))

    def _take(self, result: RecordResult) -> None:
        """What was learnt of a record, settled or not."""
        self._shard.state = after_record(self._shard.state, result)
        self._settled += result.outcome is not None


def _summary(name: str, record: Isolated) -> str:
    return f"{name} {record.error}"[:200]  # Temporal's documented bound for a summary


def _interrupted(error: ActivityError, record: Isolated) -> RecordResult:
    """The activity was asked to stop, and did not answer: it is tried again, not given up.

    Its worker may have died, or it waited for its next attempt. What it reported last is known; one of which
    nothing is known may have written.
    """
    known = _reported(error)
    if known is not None:
        return known
    return RecordResult(outcome=None, record=record.model_copy(update={"unknown": True}), died=True)


def _after_last_try(error: ActivityError, record: Isolated) -> RecordResult:
    """What the failed activity reported of its record; one that reported nothing may have written."""
    cause = error.cause
    if isinstance(cause, CancelledError):
        return _interrupted(error, record)
    known = _reported(error)
    if known is not None:
        return known.model_copy(update={"record": known.record.model_copy(update={"given_up": True})})
    message = str(cause or error)[:300]  # a ledger row and a summary hold one line
    lost = record.model_copy(update={"unknown": True, "given_up": True, "error": "Lost", "message": message})
    return RecordResult(outcome=None, record=lost, died=True)


def _reported(error: ActivityError) -> RecordResult | None:
    """What the activity said last, with its failure or its heartbeat; None where nothing is known."""
    cause, details = error.cause, list[object]()
    if isinstance(cause, ApplicationError):
        details = list(cause.details)
    elif isinstance(cause, ActivityTimeout):
        details = list(cause.last_heartbeat_details)
    try:
        return RecordResult.model_validate(details[0]) if details else None
    except ValidationError as invalid:
        workflow.logger.warning("what a record's activity reported cannot be read: %s", invalid)
        return None


def _part(share: Share, parts: int) -> Share:
    return Share(
        read_units=share.read_units and share.read_units / parts,
        write_units=share.write_units and share.write_units / parts,
        records=share.records and share.records / parts,
    )
