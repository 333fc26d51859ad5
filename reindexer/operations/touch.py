"""touch: bump the version of every record, so that the table's stream fires again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.dynamo.wire import Stamp
from reindexer.items import EXPIRED, Skip, WireItem, Write
from reindexer.jobs.expiry import expired
from reindexer.models import Target, Verb
from reindexer.page import Page
from reindexer.tally import Outcome

TOUCH = Verb(
    kind="touch",
    does="bump the version of every record, so that the table's stream fires again",
    writes=True,
    runs_job=False,
    outcomes=[
        Outcome.UPDATED, Outcome.CURRENT, Outcome.SUPERSEDED, Outcome.VANISHED, Outcome.QUARANTINED
    ],
    incomplete=[Outcome.QUARANTINED],
    for_stream=True,
)  # fmt: skip
#: Nothing but the two attributes that every write carries.
_TOUCH = Write()


class TouchOperation:
    """Every record that is below the target gets a write of version and run stamp, and nothing else."""

    def __init__(self, target: Target, stamp: Stamp) -> None:
        self._expiry = target.expiry
        keys = [attribute.name for attribute in target.key]
        ttl = [target.expiry.attribute] if target.expiry else []
        #: The attributes a row must be read with.
        self.reads: tuple[str, ...] | None = tuple(
            dict.fromkeys((*keys, stamp.version_attribute, stamp.run_attribute, *ttl))
        )

        self.filter: Mapping[str, Any] = {}
        self.pure = True
        self.max_batch = 25  # as many as one call may carry
        self.deletes = False

    def prefetch(self, page: Page) -> None:
        """Nothing to prepare."""

    def redecide(self, item: WireItem) -> Write | Skip:  # noqa: ARG002
        """A touch marks nothing."""
        return Skip("a touch marks nothing")

    def decide(self, item: WireItem) -> Write | Skip:
        """A touch, whatever the item holds, unless it is to be left alone as expired."""
        return EXPIRED if expired(self._expiry, item) else _TOUCH
