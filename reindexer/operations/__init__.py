"""What becomes of one record. A verb is a file; all have the shape of `Operation`."""

from __future__ import annotations

from typing import Protocol

from reindexer.dynamo.wire import Stamp
from reindexer.items import Skip, WireItem, Write
from reindexer.models import Target, Touch
from reindexer.operations.touch import TouchOperation


class Operation(Protocol):
    """`reads`: the attributes a row must be read with, None for all.

    `decide` is pure: asked again after a conflict, with the fresh item, it decides anew. What it raises is the
    record's own failure.
    """

    reads: tuple[str, ...] | None

    def decide(self, item: WireItem) -> Write | Skip: ...


def make_operation(target: Target, stamp: Stamp) -> Operation:
    """The operation that the target names."""
    if isinstance(target.operation, Touch):
        return TouchOperation(tuple(attribute.name for attribute in target.key), stamp)
    raise NotImplementedError(f"no operation called {target.operation.kind!r} writes records yet")
