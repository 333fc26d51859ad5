"""What the verbs have in common that look at a record's stamp, and at nothing else that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.dynamo.wire import Stamp
from reindexer.items import Skip, WireItem, Write
from reindexer.models import Target
from reindexer.page import Page


class StampsOnly:
    """An `Operation` but for `decide`."""

    def __init__(self, target: Target, stamp: Stamp) -> None:
        self._expiry = target.expiry
        self._own = (stamp.version_attribute, stamp.run_attribute)
        keys = [attribute.name for attribute in target.key]
        ttl = [target.expiry.attribute] if target.expiry else []
        #: The attributes a row must be read with.
        self.reads: tuple[str, ...] | None = tuple(dict.fromkeys((*keys, *self._own, *ttl)))
        self.filter: Mapping[str, Any] = {}
        self.pure = True
        self.max_batch = 25  # as many as one call may carry
        self.deletes = False

    def prefetch(self, page: Page) -> None:
        """Nothing to prepare."""

    def redecide(self, item: WireItem) -> Write | Skip:  # noqa: ARG002
        """It marks nothing."""
        return Skip("nothing is marked")
