"""Rounds on a table: source, destination and loop put together. What activities call."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from reindexer.checks.last_look import count_ahead
from reindexer.checks.last_look_elsewhere import InCopy, InOrder, count_landed
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault
from reindexer.items import Put
from reindexer.models import (
    ClosingInput,
    ClosingResult,
    Fault,
    KeptDifferences,
    KeyList,
    Lineages,
    OlderSegment,
    PartitionRanges,
    RecordInput,
    RecordResult,
    RoundInput,
    RoundResult,
    Stop,
    Target,
)
from reindexer.operations import verb_of
from reindexer.operations.index import IndexOperation
from reindexer.operations.replicate import ReplicateOperation
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience
from reindexer.rounds.protocols import Source
from reindexer.rounds.record import ONE_ATTEMPT, record_result, round_of
from reindexer.rounds.round import Round, defect
from reindexer.search.client import SearchClient
from reindexer.sinks.in_place import InPlace
from reindexer.sinks.ordered import Epoch, Ordered, OrderedSink, Rendering, orders_in
from reindexer.sinks.pair import Pair
from reindexer.sinks.refreshing import Refreshing
from reindexer.sinks.repairing import Repairing
from reindexer.sinks.replica import ReplicaSink
from reindexer.sinks.search_index import SearchSink
from reindexer.sinks.seen_stamps import Seen
from reindexer.sinks.unstamping import Unstamping
from reindexer.sources import make_source
from reindexer.sources.differences import Chunks, DifferenceSource
from reindexer.sources.either import with_replica
from reindexer.sources.older_epochs import OlderSource
from reindexer.sources.refreshed import RefreshedSource
from reindexer.sources.stream import StreamSource
from reindexer.streams.client import StreamCalls
from reindexer.streams.order import SETTLED, order_of
from reindexer.tally import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Second:
    """What a round needs that writes to another table: that table, what a comparison keeps, and the stream."""

    table: TableClient
    chunks: Chunks | None = None  # None: it repairs nothing that a comparison has found
    stream: StreamCalls | None = None
    epoch: Epoch | None = None  # the last one that it has had


@dataclass(frozen=True)
class Cluster:
    """What a round needs that writes to a search index: its cluster, and the stream where it follows one."""

    client: SearchClient
    stream: StreamCalls | None = None
    epoch: Epoch | None = None  # as of `Second`


def make_round(
    request: RoundInput,
    table: TableClient,
    context: RoundContext,
    patience: Patience = Patience(),  # noqa: B008 – frozen
    seen: Seen | None = None,
    second: Second | Cluster | None = None,
) -> Round[Any]:
    """A round that changes records. `seen`: for one that removes stamps; `second`: where others write.

    Raises `EnvironmentFault` where the job's code is not there, or has changed.
    """
    verb = verb_of(request.target.operation)
    if verb.ordered:
        assert second is not None, "written where?"
        return _ordered(request, table, second, context, patience)
    if isinstance(second, Second):
        return _repair(request, table, second, context, patience)
    assert verb.in_place, "written where?"
    if verb.stamps:
        destination = InPlace(request, table, context, patience)
    else:
        destination = Unstamping(request, table, context, patience, seen)
    source = make_source(
        request.source,
        request.target,
        table,
        destination.operation.reads,
        destination.operation.filter,
        context,
        consistent=destination.must_see_own_writes,
    )
    return Round(request, source, destination, context, patience)


def _repair(
    request: RoundInput, table: TableClient, second: Second, context: RoundContext, patience: Patience
) -> Round:
    destination = Repairing(request, (table, second.table), context, patience)
    return Round(request, _source(request, table, second, context), destination, context, patience)


def _ordered(
    request: RoundInput,
    table: TableClient,
    second: Second | Cluster,
    context: RoundContext,
    patience: Patience,
) -> Round[Put]:
    target = request.target
    operation: Rendering
    rows: Mapping[str, Any] = {}
    if isinstance(second, Cluster):
        operation = documents = IndexOperation(target, context)
        rows = documents.filter
    else:
        operation = ReplicateOperation(target)
    if verb_of(target.operation).rewrites:
        return _refreshing(request, table, second, operation, context, patience)
    sink = ordered_sink(second, target, context)
    source: Source
    ahead: Executor | None = None
    if isinstance(request.source, Lineages):
        assert second.stream is not None, "changes of what?"
        source = StreamSource(request.source, second.stream, context, request.followed, request.noted)
        ahead = second.stream.ahead  # a lineage has one round, where a scan has as many as it has segments
    elif isinstance(request.source, OlderSegment):
        source = _older(request, table, second, context)
    else:
        source = make_source(request.source, target, table, None, rows, context, consistent=True)
    destination = Ordered(request, sink, operation, patience, table, context, second.epoch)
    return Round(request, source, destination, context, patience, ahead)


def _older(
    request: RoundInput | ClosingInput,
    table: TableClient,
    second: Second | Cluster | None,
    context: RoundContext,
) -> Source:
    assert isinstance(second, Second), "rows of which replica?"
    assert isinstance(request.source, OlderSegment)
    return OlderSource(second.table, table, request.source, request.target, context)


def _refreshing(
    request: RoundInput,
    table: TableClient,
    second: Second | Cluster,
    operation: Rendering,
    context: RoundContext,
    patience: Patience,
) -> Round[Put]:
    """Without the job's query: a record that has left it may have a document yet."""
    sink = ordered_sink(second, request.target, context)
    names = tuple(attribute.name for attribute in request.target.key)
    named = make_source(request.source, request.target, table, names, {}, context, consistent=True)
    if isinstance(second, Second) and isinstance(request.source, PartitionRanges):
        named = with_replica(named, request.source, request.target, second.table, context)
    source = RefreshedSource(named, lambda keys: orders_in(sink, keys), table, names, context)
    destination = Refreshing(request, sink, operation, patience, table, context, second.epoch)
    return Round(request, source, destination, context, patience)


def ordered_sink(second: Second | Cluster, target: Target, context: RoundContext | None = None) -> OrderedSink:
    """The sink of what gives each write an order. `context` None: no one waits for a heartbeat."""
    if isinstance(second, Cluster):
        return SearchSink(second.client, target)
    return ReplicaSink(second.table, target, context)


def _source(
    request: RoundInput | ClosingInput, table: TableClient, second: Second, context: RoundContext
) -> Source:
    if isinstance(request.source, KeptDifferences):
        assert second.chunks is not None, "found where?"
        return DifferenceSource(request.source, second.chunks)
    return make_source(request.source, request.target, table, None, {}, context, consistent=True)


def look_ahead(
    request: ClosingInput,
    table: TableClient,
    context: RoundContext,
    seen: Seen | None = None,
    second: Second | Cluster | None = None,
) -> ClosingResult:
    """Count what a shard that ends here has done beyond its cursor."""
    if second is None:
        return count_ahead(request, table, context, seen)
    named = isinstance(request.source, KeyList)
    if (verb := verb_of(request.target.operation)).ordered:
        # Whoever follows on meets what is beyond the cursor. What a refresh has written does not tell of it.
        if isinstance(request.source, Lineages) or verb.rewrites:
            return ClosingResult(isolated=request.isolated)
        sink = ordered_sink(second, request.target, context)
        if isinstance(request.source, OlderSegment):
            order = order_of(request.target.version, SETTLED)
            landed = InOrder(sink, request.target, order, Outcome.REMOVED)
            return count_landed(request, landed, _older(request, table, second, context), context)
        landed = InOrder(sink, request.target)
        rows = None if named else make_source(request.source, request.target, table, None, {}, context)
        return count_landed(request, landed, rows, context)
    assert isinstance(second, Second), "repaired where?"
    pair = Pair(request.target, (table, second.table), request.share, context)
    source = None if named else _source(request, table, second, context)
    return count_landed(request, InCopy(pair), source, context)


def run_round(
    request: RoundInput,
    context: RoundContext,
    table: TableClient,
    seen: Seen | None = None,
    second: Second | Cluster | None = None,
) -> RoundResult:
    """Carry a shard forward until it is done or there is a reason to stop. Raises nothing."""
    try:
        made = make_round(request, table, context, seen=seen, second=second)
    except EnvironmentFault as error:  # the job's code is not there, or has changed
        return RoundResult(progress=request.beginning, stop=Stop.FAULT, fault=Fault.of(error))
    except Exception as error:
        log.exception("a round of %s could not begin", request.target.table)
        return RoundResult(progress=request.beginning, stop=Stop.FAILED, fault=defect(error))
    return made.run()


def attempt_record(
    request: RecordInput, table: TableClient, context: RoundContext, second: Second | Cluster | None = None
) -> RecordResult:
    """Read the record consistently, decide, write once, settle.

    `outcome` None: not settled. Then `retry` tells whether the record itself failed (try again by policy);
    otherwise it was asked to stop, the service was not there, or `fault` holds what is broken around it.
    """
    try:
        result = make_round(round_of(request), table, context, ONE_ATTEMPT, second=second).run()
    except EnvironmentFault as error:  # the job's code is not there, or has changed
        return RecordResult(outcome=None, record=request.record, fault=Fault.of(error))
    return record_result(request, result)
