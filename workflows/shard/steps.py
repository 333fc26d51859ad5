"""The two kinds of rounds: those that change records, and those that only read them, to verify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from temporalio import workflow

from workflows.shard.running_shard import RunningShard

with workflow.unsafe.imports_passed_through():
    from activities.compare import CompareActivities
    from activities.round import RoundActivities
    from activities.verify import VerifyActivities
    from reindexer.models import (
        CompareInput,
        CompareResult,
        Fault,
        Keep,
        Lineages,
        Progress,
        RoundInput,
        RoundResult,
        ShardInput,
        ShardState,
        Share,
        Stop,
        VerifyInput,
        VerifyResult,
    )
    from reindexer.models.folding import after_check, after_comparison, after_round

R = TypeVar("R")


class Call(NamedTuple):
    """An activity and what it is asked."""

    activity: Callable[[Any, Any], Any]
    request: Any
    summary: str
    beyond: float = 0.0  # seconds that it may take after its time slice


class End(NamedTuple):
    """How a round ended. `moved`: it came to records that no round before it had come to."""

    stop: Stop
    moved: bool
    fault: Fault | None = None
    throttle: str | None = None
    service: str = ""  # that had no capacity or gave no answer, and what it said
    said: str = ""


class Step(Protocol, Generic[R]):
    """One kind of round: what it is asked, and what its result means."""

    def call(self, shard: RunningShard, share: Share, seconds: float) -> Call: ...

    def heartbeat(self, details: Any) -> R:
        """A lost attempt's last heartbeat, as a result. Raises `ValidationError`."""

    def fold(self, state: ShardState, result: R) -> ShardState: ...

    def end(self, result: R) -> End: ...


class Changing:
    """Rounds that change records."""

    def call(self, shard: RunningShard, share: Share, seconds: float) -> Call:
        """From the state of the shard."""
        request, state = shard.request, shard.state
        work = RoundInput(
            target=shard.target,
            source=request.source,
            cursor=state.cursor,
            rows_read=state.tally.scanned,
            unconfirmed=state.unconfirmed,
            ahead=state.ahead,
            doubt=state.timed_out,
            followed=state.followed,
            isolated=isinstance(request.source, Lineages) and bool(state.isolated),
            share=share,
            levels=state.levels,
            isolation=request.isolation,
            seconds=seconds,
            heartbeat_timeout=request.heartbeat_timeout,
            lock=request.lock,
            place=shard.place,
        )
        return Call(
            RoundActivities.reindex_round,
            work,
            f"round {state.rounds + 1} after {state.tally.scanned:,} records",
        )

    def heartbeat(self, details: Any) -> RoundResult:
        """What it had reached."""
        return RoundResult(progress=Progress.model_validate(details), stop=Stop.SLICE)

    def fold(self, state: ShardState, result: RoundResult) -> ShardState:
        """Its counts, on top of the shard's."""
        return after_round(state, result.progress).model_copy(update={"levels": result.levels})

    def end(self, result: RoundResult) -> End:
        """As it says."""
        moved = result.progress.tally.scanned > 0
        return End(result.stop, moved, result.fault, result.throttle, result.service, result.said)


class Verifying:
    """Rounds that read consistently and change nothing."""

    def call(self, shard: RunningShard, share: Share, seconds: float) -> Call:
        """From the state of the shard."""
        request, state = shard.request, shard.state
        work = VerifyInput(
            target=shard.target,
            source=request.source,
            cursor=state.cursor,
            share=share,
            keep=Keep(job=request.job, run=request.run) if request.keep_behind else None,
            seconds=seconds,
            heartbeat_timeout=request.heartbeat_timeout,
        )
        return Call(VerifyActivities.verify_segment, work, f"verify after {state.checked.scanned:,} records")

    def heartbeat(self, details: Any) -> VerifyResult:
        """What it had read."""
        return VerifyResult.model_validate(details)

    def fold(self, state: ShardState, result: VerifyResult) -> ShardState:
        """Its counts, on top of the shard's."""
        return after_check(state, result)

    def end(self, result: VerifyResult) -> End:
        """Without a word of its own for a time slice that is over, or for being asked to stop."""
        moved = result.scanned > 0 or (result.cursor is not None and result.fault is None)
        return _of_reading(result, moved=moved)


#: A difference is looked at so often, a lag apart: five times, and once more where it was found late.
_LOOKS = 6


class Comparing:
    """Rounds that read two tables, or a table and its index, and change neither."""

    def call(self, shard: RunningShard, share: Share, seconds: float) -> Call:
        """From the state of the shard."""
        request, state = shard.request, shard.state
        work = CompareInput(
            target=shard.target,
            source=request.source,
            cursor=state.cursor,
            chunks=state.chunks,
            share=share,
            place=shard.place,
            fence=int(workflow.now().timestamp() * 1000),
            seconds=seconds,
            heartbeat_timeout=request.heartbeat_timeout,
        )
        summary = f"compare after {state.compared.scanned:,} records"
        beside = shard.target.other or shard.target.search
        lag = beside.lag_seconds if beside else 0.0
        return Call(CompareActivities.compare_segment, work, summary, beyond=_LOOKS * lag)

    def heartbeat(self, details: Any) -> CompareResult:
        """What it had compared."""
        return CompareResult.model_validate(details)

    def fold(self, state: ShardState, result: CompareResult) -> ShardState:
        """Its counts, on top of the shard's."""
        return after_comparison(state, result)

    def end(self, result: CompareResult) -> End:
        """As of a verification."""
        return _of_reading(result, moved=result.counts.scanned + result.counts.other_scanned > 0)


def _of_reading(result: VerifyResult | CompareResult, *, moved: bool) -> End:
    stop = Stop.DONE if result.done else Stop.THROTTLED if result.throttled else Stop.SLICE
    if result.fault:
        stop = Stop.FAULT
    return End(stop, moved, result.fault, result.throttle)


def step_of(request: ShardInput) -> Step[Any]:
    """The kind of rounds that carry a shard forward."""
    if not request.verifying:
        return Changing()
    return Comparing() if request.comparing or request.target.other is not None else Verifying()
