"""Records found by way of an index: what is no longer where the index had it is left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reindexer.items import Skip, WireItem, Write, text_of
from reindexer.models import PartitionScope
from reindexer.page import Page
from reindexer.partitions.sort_keys import holds, ordered

if TYPE_CHECKING:
    from reindexer.operations import Operation

#: An index lags: its entry named the record, the record itself says otherwise.
MOVED = Skip("not in the partition any more")


def belongs(scope: PartitionScope, partition: str, item: WireItem) -> bool:
    """Whether the item's own attributes say what the index said: the partition, the sort key's condition."""
    value = item.get(scope.partition.name, {})
    if scope.partition.type not in value or text_of(value) != partition:
        return False
    if scope.sort is None:
        return True
    at = item.get(scope.sort.name, {})
    return scope.sort.type in at and (
        scope.condition is None
        or holds(scope.condition, scope.sort.type, ordered(scope.sort.type, text_of(at)))
    )


class WithinIndex:
    """Another operation, asked only about records that are still in the partition they were found in.

    Its writes are guarded by the index's key attributes: what moves between reading and writing is refused,
    read again, and then left alone. A page that belongs to no partition is let through as it is.
    """

    def __init__(self, operation: Operation, scope: PartitionScope) -> None:
        self._operation, self._scope = operation, scope
        self._names = [scope.partition.name, *([scope.sort.name] if scope.sort else [])]
        reads = operation.reads
        #: The attributes a row must be read with.
        self.reads = None if reads is None else tuple(dict.fromkeys((*reads, *self._names)))
        self.filter: Mapping[str, Any] = operation.filter
        self.pure, self.max_batch, self.deletes = operation.pure, operation.max_batch, operation.deletes
        self._partition: str | None = None

    def prefetch(self, page: Page) -> None:
        """These are going to be asked for, in this order; some may be left out."""
        self._partition = page.partition
        self._operation.prefetch(page)

    def decide(self, item: WireItem) -> Write | Skip:
        """As the operation; Skip for a record that has moved."""
        return self._here(item, self._operation.decide)

    def redecide(self, item: WireItem) -> Write | Skip:
        """As the operation; Skip for a record that has moved."""
        return self._here(item, self._operation.redecide)

    def _here(self, item: WireItem, decide: Callable[[WireItem], Write | Skip]) -> Write | Skip:
        if self._partition is None:
            return decide(item)
        if not belongs(self._scope, self._partition, item):
            return MOVED
        decision = decide(item)
        if isinstance(decision, Skip):
            return decision
        here = {name: item.get(name) for name in self._names}
        return replace(decision, guards={**here, **decision.guards})
