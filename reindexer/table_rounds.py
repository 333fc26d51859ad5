"""Rounds on a table: source, destination and loop put together. What activities call."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from reindexer.checks.last_look import count_ahead
from reindexer.checks.last_look_at_copy import count_repaired
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault
from reindexer.models import (
    ClosingInput,
    ClosingResult,
    Fault,
    KeptDifferences,
    KeyList,
    RecordInput,
    RecordResult,
    RoundInput,
    RoundResult,
    Stop,
)
from reindexer.operations import verb_of
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import Patience
from reindexer.rounds.protocols import Source
from reindexer.rounds.record import ONE_ATTEMPT, record_result, round_of
from reindexer.rounds.round import Round, defect
from reindexer.sinks.in_place import InPlace
from reindexer.sinks.pair import Pair
from reindexer.sinks.repairing import Repairing
from reindexer.sinks.seen import Seen
from reindexer.sinks.unstamping import Unstamping
from reindexer.sources import make_source
from reindexer.sources.differences import Chunks, DifferenceSource

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Second:
    """What a round needs that writes to another table: that table, and what a comparison keeps."""

    table: TableClient
    chunks: Chunks | None = None  # None: its source is a key list


def make_round(
    request: RoundInput,
    table: TableClient,
    context: RoundContext,
    patience: Patience = Patience(),  # noqa: B008 – frozen
    seen: Seen | None = None,
    second: Second | None = None,
) -> Round:
    """A round that changes records. `seen`: for one that removes stamps; `second`: for one that repairs.

    Raises `EnvironmentFault` where the job's code is not there, or has changed.
    """
    verb = verb_of(request.target.operation)
    if verb.writes_other:
        assert second is not None, "written where?"
        return _repair(request, table, second, context, patience)
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
    second: Second | None = None,
) -> ClosingResult:
    """Count what a shard that ends here has done beyond its cursor."""
    if second is None:
        return count_ahead(request, table, context, seen)
    pair = Pair(request.target, (table, second.table), request.share, context)
    named = isinstance(request.source, KeyList)
    return count_repaired(request, pair, None if named else _source(request, table, second, context), context)


def run_round(
    request: RoundInput,
    context: RoundContext,
    table: TableClient,
    seen: Seen | None = None,
    second: Second | None = None,
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
    request: RecordInput, table: TableClient, context: RoundContext, second: Second | None = None
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
