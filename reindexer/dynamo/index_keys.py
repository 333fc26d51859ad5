"""What an index takes as its key: an index that is added later leaves out the records that it does not take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reindexer.items import WireItem, WireValue
from reindexer.models import IndexKey
from reindexer.values import size_of

#: The class of a record that DynamoDB refuses to write, or would, for the value of an index's key.
INDEX_KEY = "IndexKey"
_MAX_PARTITION_KEY, _MAX_SORT_KEY = 2048, 1024  # bytes (DynamoDB's limits)


class IndexKeys:
    """The keys of a table's indexes. `types`: their types by attribute, where `keys` may be missing."""

    def __init__(self, types: Mapping[str, str], keys: Iterable[IndexKey]) -> None:
        self._types, self._keys = types, list(keys)

    def why_not(self, name: str, value: WireValue) -> str | None:
        """Why an index does not take the value of this attribute; None: it does, or it is none of its keys."""
        kind = self._types.get(name)
        if kind is None:
            return None
        keys = [key for key in self._keys if key.name == name]
        of = f"index {keys[0].index}" if keys else "an index"
        if kind not in value:
            return f"{name}: a key of {of}, of type {kind}, not {next(iter(value))}"
        if not value[kind]:
            return f"{name}: a key of {of} cannot be empty"
        if kind == "N":
            return None
        size = size_of(value)
        for key in keys:
            most = _MAX_PARTITION_KEY if key.partition else _MAX_SORT_KEY
            if size > most:
                part = "partition" if key.partition else "sort"
                return f"{name}: {size:,} bytes, above the {most:,} of a {part} key of index {key.index}"
        return None

    def refused(self, item: WireItem) -> Iterator[tuple[str, str]]:
        """The attributes of a stored item that an index does not take, and why not."""
        for name in self._types:
            if name in item and (why := self.why_not(name, item[name])):
                yield name, why

    def named_in(self, message: str) -> bool:
        """Whether it names one of the attributes and its index."""
        return any(key.name in message and key.index in message for key in self._keys)
