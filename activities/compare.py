"""compare_segment: one segment of two tables, read together; and some differences for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from temporalio import activity

from activities.clients import Clients
from activities.failures import refusals_as_faults, translated
from activities.guard import Guard
from activities.identity import Identities, TableTrouble
from activities.round_context import TemporalContext
from activities.second import trouble_of_either
from reindexer.compare.checkpoint import Keep
from reindexer.compare.segment import compare_segment
from reindexer.ledger import Ledger
from reindexer.models import (
    CompareInput,
    CompareResult,
    FoundDifference,
    Sampled,
    SampleInput,
    ShardPlace,
    Stop,
)


class CompareActivities:
    """Comparison, on the rounds queue: it reads as much as rounds do."""

    def __init__(self, clients: Clients, identities: Identities, guard: Guard) -> None:
        self._clients, self._identities, self._guard = clients, identities, guard

    @activity.defn(name="compare_segment", no_thread_cancel_exception=True)
    def compare_segment(self, request: CompareInput) -> CompareResult:
        """Hands back its cursor when its time slice is over or it is asked to stop. Changes neither table.

        A table that was replaced, before or meanwhile, is a fault, and nothing was compared. Differences are in
        the ledger before a heartbeat or the result covers them.
        """
        context = TemporalContext(request.heartbeat_timeout, self._guard)
        context.heartbeat(lambda: _nothing(request))
        other = request.target.other
        assert other is not None, "compared with what?"
        if trouble := trouble_of_either(self._identities.trouble_before, request.target, context):
            return _nothing(request, trouble)
        tables = (self._clients.table(request.target), self._clients.table(other))
        result = compare_segment(request, tables, context, self._keeper(request))
        if result.done:
            trouble = trouble_of_either(self._identities.trouble_after, request.target, context)
        if trouble:  # what was read counts for nothing; this part is read again
            return _nothing(request, trouble)
        return result

    def _keeper(self, request: CompareInput) -> Keep:
        place, ledger = request.place, self._clients.ledger

        def keep(number: int, found: Sequence[FoundDifference]) -> None:
            with refusals_as_faults():
                if number == 0:  # by its run the differences are found before the report is there
                    ledger.runs.note(place.job, place.run, datetime.now(UTC))
                ledger.differences.put(place, number, request.fence, found)

        return keep


class DifferenceActivities:
    """What the ledger keeps of a comparison."""

    def __init__(self, clients: Clients) -> None:
        self._ledger = clients.ledger

    @activity.defn
    def sample_differences(self, request: SampleInput) -> Sampled:
        """Some of the differences, of as many shards as there are, for the report."""
        with translated():
            found = list(islice(_in_turn(self._ledger, request), request.most))
        return Sampled(differences=[difference.brief for difference in found])


def _in_turn(ledger: Ledger, request: SampleInput) -> Iterator[FoundDifference]:
    """One difference of each shard, then another one of each; of its first chunk alone."""
    keep = request.keep
    shards = [
        ledger.differences.of(ShardPlace(job=keep.job, run=keep.run, index=shard), 0)
        for shard, chunks in enumerate(request.chunks)
        if chunks
    ][: request.most]
    while shards:
        for shard in list(shards):
            difference = next(shard, None)
            if difference is None:
                shards.remove(shard)
            else:
                yield difference


def _nothing(request: CompareInput, trouble: TableTrouble | None = None) -> CompareResult:
    """Nothing was read, or nothing that counts."""
    result = CompareResult(cursor=request.cursor, chunks=request.chunks)
    if trouble is None:
        return result
    return result.model_copy(
        update={
            "fault": trouble.fault,
            "throttled": trouble.stop is Stop.THROTTLED,
            "throttle": trouble.throttle,
        }
    )
