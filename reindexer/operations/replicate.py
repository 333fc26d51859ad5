"""replicate: write every record into a second table, without what only the reindexer itself knows by."""

from __future__ import annotations

from reindexer.items import EXPIRED, GONE, OF_COPIES, Skip, WireItem
from reindexer.jobs.expiry import expired
from reindexer.models import Target, Verb
from reindexer.page import Page
from reindexer.tally import Outcome

REPLICATE = Verb(
    kind="replicate",
    does="write every record into a second table, and keep it equal while it is followed",
    writes=True,
    runs_job=False,
    outcomes=[
        Outcome.UPDATED, Outcome.REMOVED, Outcome.FILTERED, Outcome.VANISHED, Outcome.SUPERSEDED,
        Outcome.QUARANTINED
    ],
    incomplete=[Outcome.QUARANTINED],
    stamps=False,
    writes_other=True,
    copies=True,
    words={
        Outcome.UPDATED: "in the replica, written by this run",
        Outcome.REMOVED: "in the replica alone before, removed",
        Outcome.FILTERED: "not in the replica: expired, or tombstones",
        Outcome.VANISHED: "gone from the table before this run wrote them",
        Outcome.SUPERSEDED: "newer in the replica already",
    },
)  # fmt: skip

#: A row that marks a deletion counts as absent.
_TOMBSTONE = Skip("a tombstone")


def left_out_of(target: Target) -> frozenset[str]:
    """Names that are not copied as attributes. The key is written beside them."""
    assert target.other is not None, "which replica?"
    keys = {attribute.name for attribute in target.key}
    return frozenset((*OF_COPIES, *target.other.left_out, *keys))


class ReplicateOperation:
    """What the replica is to hold of one record."""

    def __init__(self, target: Target) -> None:
        self._left_out = left_out_of(target)
        self._expiry = target.expiry

    def prefetch(self, page: Page) -> None:
        """Nothing is made ahead: it is a dictionary without some of its names."""

    def decide(self, item: WireItem) -> WireItem | Skip:
        """Its attributes without the key."""
        if GONE in item:
            return _TOMBSTONE
        if expired(self._expiry, item):
            return EXPIRED
        return {name: value for name, value in item.items() if name not in self._left_out}
