"""Isolated records of a shard: each its own activity, a few at a time, then settled or quarantined."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from workflows.faults import in_plain_words
from workflows.options import CONTROL, KEPT_FAILURES, RECORDS_AT_ONCE, record_options
from workflows.running_shard import RunningShard

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.items import key_text
    from reindexer.models import Isolated, QuarantineInput, RecordInput, RecordResult, Share
    from reindexer.tally import Outcome, Tally


class Records:
    """Works off `state.isolated` of its shard. A record leaves that list only when it has its outcome."""

    def __init__(self, shard: RunningShard) -> None:
        self._shard = shard
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._handles: dict[str, workflow.ActivityHandle[RecordResult]] = {}
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

    def interrupt(self) -> None:
        """Ask the open ones to hand back what they know; they return to pending."""
        for handle in self._handles.values():
            handle.cancel()

    async def finish_open(self) -> None:
        """Wait until none is open."""
        await workflow.wait_condition(lambda: not self._tasks)

    async def wait_for_one(self) -> None:
        """Wait until one was settled, all came back, or the shard is told something."""
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
        if not record.given_up:
            result = await self._try(name, record)
            record = result.record
            self._absorb(result)
            if result.outcome:
                self._done(name, result.outcome)
                return
            if result.fault:
                self._shard.park(in_plain_words(result.fault))
            if result.waiting:
                await self._shard.gate.sleep(
                    15.0, f"waiting to try {name} again"
                )  # seconds; as its policy's longest
            if not record.given_up:
                return  # back to pending
        await self._quarantine(name, record)

    async def _try(self, name: str, record: Isolated) -> RecordResult:
        """One activity with its own retries, and what it told in the end."""
        request = self._shard.request
        handle = workflow.start_activity(
            "reindex_record",
            RecordInput(
                target=self._shard.target,
                record=record,
                # Over all that may run at once: all of the shard's share, or half where rounds use the other.
                share=_part(self._shard.share, RECORDS_AT_ONCE * (1 if self._shard.state.done else 2)),
                heartbeat_timeout=request.heartbeat_timeout,
            ),
            task_queue=request.records_queue,
            result_type=RecordResult,
            summary=f"{name} {record.error}"[:200],  # Temporal's documented bound for a summary
            **record_options(request.heartbeat_timeout),
        )
        self._handles[name] = handle
        try:
            result: RecordResult = await handle
            return result
        except ActivityError as error:
            return _after_last_try(error, record)
        finally:
            self._handles.pop(name, None)

    async def _quarantine(self, name: str, record: Isolated) -> None:
        request = self._shard.request
        try:
            result = await workflow.execute_activity(
                "quarantine_record",
                QuarantineInput(target=self._shard.target, job=request.job, run=request.run, record=record),
                task_queue=request.records_queue,
                result_type=RecordResult,
                summary=f"{name} {record.error}"[:200],
                **CONTROL,
            )
        except ActivityError as error:
            self._shard.park(f"{name} could not be quarantined: {error.cause}")
            return
        self._absorb(result)
        if result.fault:
            self._shard.park(in_plain_words(result.fault))
        elif result.outcome:
            self._done(name, result.outcome)

    def _absorb(self, result: RecordResult) -> None:
        """Take over what was learnt of a record, settled or not."""
        state, name = self._shard.state, key_text(result.record.key)
        self._shard.state = state.model_copy(
            update={
                "attempts": state.attempts + result.attempts,
                "write_units": state.write_units + result.write_units,
                "isolated": [
                    result.record.model_copy(update={"partition": r.partition})
                    if key_text(r.key) == name
                    else r
                    for r in state.isolated
                ],
            }
        )

    def _done(self, name: str, outcome: str) -> None:
        """The record has its outcome: counted, and off the list."""
        state = self._shard.state
        place = next(n for n, r in enumerate(state.isolated) if key_text(r.key) == name)
        record, settled = state.isolated[place], Outcome(outcome)
        self._settled += 1
        update: dict[str, object] = {
            "tally": state.tally.plus(settled),
            # It alone: an index may hand a record out twice, under the value it had and the one it has.
            "isolated": state.isolated[:place] + state.isolated[place + 1 :],
        }
        if record.partition is not None:
            counted = state.partitions.get(record.partition, Tally()).plus(settled)
            update["partitions"] = {**state.partitions, record.partition: counted}
        if outcome == Outcome.QUARANTINED:
            counts = dict(state.failures)
            counts[record.error] = counts.get(record.error, 0) + 1
            update |= {"failures": counts, "quarantined": [*state.quarantined, record][-KEPT_FAILURES:]}
        self._shard.state = state.model_copy(update=update)


def _after_last_try(error: ActivityError, record: Isolated) -> RecordResult:
    """What the failed activity told of its record; whoever told nothing may have written."""
    cause = error.cause
    if isinstance(cause, CancelledError):
        # Interrupted between two attempts: what the first of them knew is lost, so its write may have landed.
        return RecordResult(outcome=None, record=record.model_copy(update={"unknown": True}))
    if isinstance(cause, ApplicationError) and cause.details:
        try:
            told = RecordResult.model_validate(cause.details[0])
            return told.model_copy(update={"record": told.record.model_copy(update={"given_up": True})})
        except ValidationError as invalid:
            workflow.logger.warning("what a record's activity told cannot be read: %s", invalid)
    message = str(cause or error)[:300]  # a ledger row and a summary hold one line
    lost = record.model_copy(update={"unknown": True, "given_up": True, "error": "Lost", "message": message})
    return RecordResult(outcome=None, record=lost)


def _part(share: Share, parts: int) -> Share:
    return Share(
        read_units=share.read_units and share.read_units / parts,
        write_units=share.write_units and share.write_units / parts,
        records=share.records and share.records / parts,
    )
