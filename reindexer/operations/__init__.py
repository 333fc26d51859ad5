"""What becomes of one record. A verb is a file; all have the shape of `Operation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from reindexer.dynamo.wire import Stamp
from reindexer.items import Skip, WireItem, Write
from reindexer.models import Index, Refresh, RefreshReplica, Repair, Target, Verb, documents_of
from reindexer.models import Operation as Asked
from reindexer.operations.compare import COMPARE, COMPARE_INDEX
from reindexer.operations.index import INDEX, INDEX_BY_JOB
from reindexer.operations.refresh import REFRESH, REFRESH_BY_JOB, REFRESH_REPLICA
from reindexer.operations.repair import BACKFILL, REDRIVEN, REPAIR
from reindexer.operations.replicate import REPLICATE
from reindexer.operations.touch import TOUCH, TouchOperation
from reindexer.operations.transform import TRANSFORM, TransformOperation
from reindexer.operations.unstamp import UNSTAMP, UnstampOperation
from reindexer.operations.verify import VERIFY
from reindexer.operations.within_index import WithinIndex
from reindexer.page import Page
from reindexer.round_context import RoundContext


class Operation(Protocol):
    """`reads`: the attributes a row must be read with, None for all.

    `decide` is pure: asked again after a conflict, with the fresh item, it decides again. What it raises is the
    record's own failure.
    """

    reads: tuple[str, ...] | None
    #: Scan parameters that leave rows out; none where every row is to be handed out.
    filter: Mapping[str, Any]
    #: Whether it may be asked twice about one record without an effect.
    pure: bool
    #: Most records per call of the sink.
    max_batch: int
    #: Whether it may delete records.
    deletes: bool

    def prefetch(self, page: Page) -> None:
        """Its rows are going to be asked for, in this order; some may be left out."""
        ...

    def redecide(self, item: WireItem) -> Write | Skip:
        """What an item needs that this run has marked for deletion; Skip: it is not to be deleted any more."""
        ...

    def decide(self, item: WireItem) -> Write | Skip: ...


#: Every verb by its kind. CONTRIBUTING.md says how to add one.
VERBS: Mapping[str, Verb] = {
    verb.kind: verb for verb in (TOUCH, TRANSFORM, VERIFY, UNSTAMP, COMPARE, REPAIR, INDEX, REFRESH, REPLICATE)
}
#: What decides about records, of those verbs that write any.
_DECIDING: Mapping[str, Callable[[Target, Stamp, RoundContext | None], Operation]] = {
    TOUCH.kind: lambda target, stamp, _context: TouchOperation(target, stamp),
    TRANSFORM.kind: TransformOperation,
    UNSTAMP.kind: lambda target, stamp, _context: UnstampOperation(target, stamp),
}


def verb_of(operation: Asked) -> Verb:
    """What the operation's verb says of itself."""
    if isinstance(operation, Repair) and operation.backfill:
        return BACKFILL
    if documents_of(operation):
        return COMPARE_INDEX
    if isinstance(operation, Index) and operation.job:
        return INDEX_BY_JOB
    if isinstance(operation, Refresh) and operation.job:
        return REFRESH_BY_JOB
    if isinstance(operation, RefreshReplica):
        return REFRESH_REPLICA
    return VERBS[operation.kind]


def verb_noted(operation: Mapping[str, Any]) -> Verb | None:
    """The verb of an operation as a report has it; None: of a version of this program that knows more verbs."""
    if operation.get("kind") == REFRESH.kind and "table" in operation.get("to", {}):
        return REFRESH_REPLICA
    return VERBS.get(operation.get("kind", ""))


def redriven(operation: Asked) -> Verb:
    """The same of a job that takes up what an earlier one gave up."""
    verb = verb_of(operation)
    return REDRIVEN if verb is REPAIR else verb


def make_operation(target: Target, stamp: Stamp, context: RoundContext | None = None) -> Operation:
    """The operation that the target names. Raises `EnvironmentFault` where its job is not there, or another."""
    operation = _DECIDING[target.operation.kind](target, stamp, context)
    if target.within is not None and target.within.index is not None:
        return WithinIndex(operation, target.within)
    return operation
