"""What a shard hands back: bounded, whatever it has met. What is too large goes through the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.faults import in_plain_words
from workflows.options import CLOSING, KEEPING, LAST_LOOK
from workflows.shard.reporting import Telling
from workflows.shard.running_shard import RUNNING, RunningShard

with workflow.unsafe.imports_passed_through():
    from activities.kept import KeptActivities
    from activities.last_look import ClosingLookActivities
    from activities.quarantine import QuarantineActivities
    from reindexer.models import Fault, KeepInput, Kept, Lineages, QuarantineInput, ShardState
    from reindexer.models.closing import ClosingInput
    from reindexer.models.folding import after_closing, after_record


async def load(shard: RunningShard, telling: Telling) -> None:
    """Begin from a state that the ledger keeps. Parks where it cannot be read; then gives up when leaving."""
    kept = shard.request.kept
    while kept is not None and not shard.loaded:
        try:
            shard.state = await workflow.execute_activity_method(KeptActivities.load_state, kept, **KEEPING)
        except ActivityError as error:
            if shard.leaving:
                return
            await _wait_for_the_ledger(shard, telling, error, lambda: shard.leaving or shard.may_work)
            if shard.leaving:
                return
        else:
            shard.loaded = True


async def keep(
    shard: RunningShard, telling: Telling, state: ShardState
) -> tuple[ShardState | None, Kept | None]:
    """(the state, or None where it was too large; where the ledger keeps it then).

    Parks until the ledger can be written, since the shard could not go on without its state. Of a shard that is
    being cancelled nothing is kept but its counts.
    """
    if state.travels:
        return state, None
    request = shard.request
    place = Kept(job=request.job, run=request.run, index=request.index, number=request.hand_backs + 1)
    while True:
        try:
            await workflow.execute_activity_method(
                KeptActivities.keep_state, KeepInput(kept=place, state=state), **KEEPING
            )
        except ActivityError as error:
            if shard.gate.stopping:
                workflow.logger.warning("the state could not be kept: %s", error.cause or error)
                return None, None
            await _wait_for_the_ledger(
                shard, telling, error, lambda: shard.gate.stopping or not (shard.parked or shard.gate.paused)
            )
        else:
            return None, place


async def _wait_for_the_ledger(
    shard: RunningShard, telling: Telling, error: ActivityError, over: Callable[[], bool]
) -> None:
    """Park until `over`. Meanwhile every pause of the root is acknowledged."""
    cause = error.cause
    code, message = "LedgerUnavailable", str(cause or error)
    if isinstance(cause, ApplicationError):
        code, message = cause.type or code, cause.message
    shard.park(in_plain_words(Fault(code=code, message=message[:300])))
    while not over():
        telling.still()
        seq = shard.control.seq
        await workflow.wait_condition(lambda seq=seq: over() or shard.control.seq != seq)  # type: ignore[misc]
    shard.situation = RUNNING


async def look_ahead(shard: RunningShard) -> bool:
    """Settle what lies beyond the cursor of a shard that ends here; whether all of it could be looked at.

    Rows settled there before the rows in front of them, writes whose answer never came, isolated records: those
    that carry this run's stamp were changed by it.
    """
    state, request = shard.state, shard.request
    if isinstance(request.source, Lineages):
        return await _give_up(shard)
    if request.verifying or shard.finished or not (state.rounds or state.ahead or state.timed_out):
        return True
    if not state.unsettled:
        return True
    if state.timed_out:  # its zombie may write until then
        await workflow.sleep(timedelta(seconds=request.heartbeat_timeout))
    try:
        result = await workflow.execute_activity_method(
            ClosingLookActivities.count_ahead,
            last_look(shard),
            task_queue=request.rounds_queue,
            **LAST_LOOK,
        )
    except ActivityError as error:
        workflow.logger.warning("what lies beyond the cursor is not known: %s", error.cause or error)
        return False
    shard.state = after_closing(state, result)
    return result.fault is None and result.complete


async def _give_up(shard: RunningShard) -> bool:
    """What is isolated where a follow ends: its position has passed them, and a later follow meets none."""
    request = shard.request
    for record in shard.state.isolated:
        asked = QuarantineInput(target=shard.target, job=request.job, run=request.run, record=record)
        try:
            result = await workflow.execute_activity_method(
                QuarantineActivities.quarantine_record, asked, task_queue=request.records_queue, **CLOSING
            )
        except ActivityError as error:
            workflow.logger.warning("an isolated record is not in the ledger: %s", error.cause or error)
            return False
        if result.outcome is None:
            return False
        shard.state = after_record(shard.state, result)
    return True


def last_look(shard: RunningShard) -> ClosingInput:
    """What is looked at where the shard ends."""
    state, request = shard.state, shard.request
    return ClosingInput(
        target=shard.target,
        source=request.source,
        cursor=state.cursor,
        rows_read=state.tally.scanned,
        unconfirmed=state.unconfirmed,
        ahead=state.ahead,
        doubt=state.timed_out,
        isolated=state.isolated,
        share=shard.share,
        heartbeat_timeout=request.heartbeat_timeout,
        place=shard.place,
    )
