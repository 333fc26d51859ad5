"""What the document of a record is to say, and what it says: each check of an index compares the two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from reindexer.items import Skip, WireItem
from reindexer.models import Target, documents_of
from reindexer.operations.index import IndexOperation
from reindexer.round_context import RoundContext
from reindexer.search.client import SearchClient
from reindexer.search.document_ids import id_of
from reindexer.search.documents import GONE, content_of


class Made:
    """Of the index that the target names. Values are those of JSON, numbers with all their digits."""

    def __init__(self, target: Target, client: SearchClient, context: RoundContext | None) -> None:
        assert target.search is not None, "which index?"
        self.index, self.key, self.client = target.search.index, target.key, client
        if made := documents_of(target.operation):
            target = target.model_copy(update={"operation": made})
        self.operation = IndexOperation(target, context)

    def of(self, item: WireItem) -> Any:
        """What the document of a record is to say; None: it is to have none.

        Raises `EnvironmentFault`, `Interrupted`, or what the job's function raises.
        """
        made = self.operation.decide(item)
        return None if isinstance(made, Skip) else json.loads(made, parse_float=Decimal)

    def stored(self, rows: Sequence[WireItem]) -> list[Any]:
        """What the document of each says, in real time; None: there is none, or a tombstone. `CallFailed`."""
        found = self.client.sources(self.index, [id_of(row, self.key) for row in rows])
        return [None if source is None or GONE in source else content_of(source) for source in found]
