"""compare_segment: one part of two tables, or of a table and its index; and some differences for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, islice

from temporalio import activity

from activities.clients import Clients
from activities.failures import refusals_as_faults, translated
from activities.guard import Guard
from activities.identity import Identities, TableTrouble
from activities.round_context import TemporalContext
from activities.second_table import trouble_of_either
from activities.sources import fetched
from reindexer.compare.checkpoint import Keep
from reindexer.compare.segment import compare_segment
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault
from reindexer.items import Key
from reindexer.ledger import Ledger
from reindexer.models import (
    CompareInput,
    CompareResult,
    Comparison,
    Difference,
    Fault,
    FoundDifference,
    Sampled,
    SampleInput,
    ShardPlace,
    Stop,
    Target,
)
from reindexer.models.comparison import Named, NameInput
from reindexer.search.client import SearchClient


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
        if trouble := trouble_of_either(self._identities.trouble_before, request.target, context):
            return _nothing(request, trouble)
        work = fetched(request, self._clients.ledger)
        if isinstance(work, Fault):
            return _nothing(request, TableTrouble(Stop.FAULT, work))
        try:
            tables = self._clients.table(request.target), self._counterpart(request.target)
            result = compare_segment(work, tables, context, self._keeper(request))
        except EnvironmentFault as error:  # the other side is not reached, or the job is not there
            return _nothing(request, TableTrouble(Stop.FAULT, Fault.of(error)))
        if result.done:
            trouble = trouble_of_either(self._identities.trouble_after, request.target, context)
        if trouble:  # what was read counts for nothing; this part is read again
            return _nothing(request, trouble)
        return result

    def _counterpart(self, target: Target) -> TableClient | SearchClient:
        """What the table is compared with. Raises `EnvironmentFault`."""
        if target.search is not None:
            return self._clients.search(target.search)
        assert target.other is not None, "compared with what?"
        return self._clients.table(target.other)

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

    @activity.defn
    def name_differences(self, request: NameInput) -> Named:
        """The keys of all differences in lists, to be looked at again. Called again, it makes the same ones."""
        keep, names = request.keep, set(request.key)
        keys, unnamed = list[Key](), Comparison()
        with translated():
            for shard, chunks in enumerate(request.chunks):
                place = ShardPlace(job=keep.job, run=keep.run, index=shard)
                for found in chain.from_iterable(self._ledger.differences.of(place, n) for n in range(chunks)):
                    if set(found.key) == names:
                        keys.append(found.key)
                    elif found.kind is Difference.MOVING:
                        unnamed += Comparison(other_scanned=1, other_moving=1)
                    else:
                        unnamed += Comparison(other_scanned=1, extraneous=1)
            return Named(lists=self._ledger.kept.keep_lists(keep.job, keep.run, keys), unnamed=unnamed)


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
