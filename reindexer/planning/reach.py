"""What of a table a job's scope lets it touch: probes and samples stay within it.

A role may be limited to some partition keys (`dynamodb:LeadingKeys`): what it asks outside of them is denied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reindexer.items import Key, WireKey, from_json_key, wire_value
from reindexer.models import KeyAttribute, KeyList, PartitionScope, Source
from reindexer.sinks.table import impossible_key

#: A run stamp that no item carries.
NO_RUN: str = impossible_key([KeyAttribute(name="run", type="S")])["run"]["S"]


@dataclass(frozen=True, slots=True)
class Reach:
    """Named partitions, named records, or where there are neither the whole table."""

    key: Sequence[KeyAttribute]  # of the table
    within: PartitionScope | None = None
    values: Sequence[str] = ()  # of the partitions
    keys: Sequence[Key] = ()

    @property
    def scans(self) -> bool:
        """Whether it is the whole table."""
        return self.within is None and not self.keys

    @property
    def probe_keys(self) -> list[tuple[WireKey, bool]]:
        """Keys to try a write on, in this order, each with whether an item may have it.

        No item has the first one. The last one lies in the scope.
        """
        nowhere, leading = impossible_key(self.key), self._leading()
        if leading is None:
            return [(nowhere, False)]
        if len(self.key) > 1:
            return [({**nowhere, **leading}, False)]
        return [(nowhere, False), (leading, True)]

    def _leading(self) -> WireKey | None:
        """A partition key of the scope; None where any is."""
        first = self.key[0]
        if self.keys:
            return {first.name: from_json_key(self.keys[0])[first.name]}
        if self.within is not None and self.within.partition.name == first.name:
            return {first.name: wire_value(first.type, self.values[0])}
        return None  # the whole table; or an index's partitions, whose records may be anywhere in it


def reach_of(
    key: Sequence[KeyAttribute],
    within: PartitionScope | None,
    values: Sequence[str],
    sources: Sequence[Source],
) -> Reach:
    """The reach of a scope: of its partitions, or of the records that its sources name."""
    named = [named for source in sources if isinstance(source, KeyList) for named in source.keys]
    return Reach(key, within, values, named)
