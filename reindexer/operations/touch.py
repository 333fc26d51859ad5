"""touch: bump the version of every record, so that the table's stream fires again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.dynamo.table import Page
from reindexer.dynamo.wire import Stamp
from reindexer.items import Skip, WireItem, Write

#: Nothing but the two attributes that every write carries.
_TOUCH = Write()


class TouchOperation:
    """Every record that is below the target gets a write of version and run stamp, and nothing else."""

    def __init__(self, key_names: tuple[str, ...], stamp: Stamp) -> None:
        #: The attributes a row must be read with.
        self.reads: tuple[str, ...] | None = (*key_names, stamp.version_attribute, stamp.run_attribute)

        self.filter: Mapping[str, Any] = {}
        self.pure = True
        self.at_once = 25  # as many as one call may carry
        self.deletes = False

    def foresee(self, page: Page) -> None:
        """Nothing to prepare."""

    def again(self, item: WireItem) -> Write | Skip:  # noqa: ARG002
        """A touch marks nothing."""
        return Skip("marked by nobody")

    def decide(self, item: WireItem) -> Write | Skip:  # noqa: ARG002 – every verb has this signature
        """A touch, whatever the item holds."""
        return _TOUCH
