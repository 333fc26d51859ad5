"""What rounds need that write elsewhere: a client for it, and what a comparison has kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from activities.clients import Clients
from activities.identity import TableTrouble
from activities.ledger_answers import answered
from reindexer.dynamo.other_table import of_other
from reindexer.errors import EnvironmentFault
from reindexer.models import (
    Fault,
    FoundDifference,
    KeptDifferences,
    Lineages,
    OtherTable,
    ShardPlace,
    Source,
    Stop,
    Target,
)
from reindexer.operations import verb_of
from reindexer.round_context import RoundContext
from reindexer.sources.differences import Chunks
from reindexer.streams.client import StreamCalls
from reindexer.table_rounds import Cluster, Second

#: Asks which table answers to a name.
Ask = Callable[[Target | OtherTable, RoundContext], TableTrouble | None]


@contextmanager
def second_of(
    clients: Clients, target: Target, context: RoundContext, source: Source | None = None
) -> Iterator[Second | Cluster | None]:
    """Of the other table, or of an index; None where the verb writes to its own table.

    Raises `EnvironmentFault` where the other is not reached.
    """
    verb = verb_of(target.operation)
    if verb.ordered:
        stream = clients.stream(target, source.stream_arn) if isinstance(source, Lineages) else None
        pool = ThreadPoolExecutor(1, "epoch")
        last = clients.ledger.epochs.last
        try:
            yield replace(
                place_of(clients, target, stream),
                epoch=lambda: answered(pool.submit(last, target.destination), context),
            )
        finally:
            pool.shutdown(wait=False)
        return
    if not verb.writes_other:
        yield None
        return
    assert target.other is not None, "written where?"
    pool = ThreadPoolExecutor(1, "differences")
    try:
        chunks = _chunks(clients, source, pool, context) if isinstance(source, KeptDifferences) else None
        yield Second(clients.table(target.other), chunks)
    finally:
        pool.shutdown(wait=False)


def place_of(clients: Clients, target: Target, stream: StreamCalls | None = None) -> Second | Cluster:
    """The cluster of an index, or the replica. Raises `EnvironmentFault`."""
    if target.search is not None:
        return Cluster(clients.search(target.search), stream)
    assert target.other is not None, "written where?"
    return Second(clients.table(target.other), stream=stream)


def _chunks(clients: Clients, kept: KeptDifferences, pool: ThreadPoolExecutor, context: RoundContext) -> Chunks:
    place, of = ShardPlace(job=kept.job, run=kept.run, index=kept.shard), clients.ledger.differences.of

    def chunk(number: int) -> list[FoundDifference]:
        return answered(pool.submit(lambda: list(of(place, number))), context)

    return chunk


def trouble_of_either(ask: Ask, target: Target, context: RoundContext) -> TableTrouble | None:
    """What is wrong with the table, or with the other one that is read or written beside it."""
    if trouble := ask(target, context):
        return trouble
    if target.other is None:
        return None
    try:
        trouble = ask(target.other, context)
    except EnvironmentFault as error:  # of the settings that reach it
        trouble = TableTrouble(Stop.FAULT, Fault.of(error))
    if trouble is None or trouble.fault is None:
        return trouble
    return replace(trouble, fault=of_other(trouble.fault, target.other.table))
