"""Rows that a comparison found to differ, from what it keeps of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from reindexer.items import Cursor, from_json_key
from reindexer.models import FoundDifference, KeptDifferences
from reindexer.page import Page
from reindexer.throttle import Budget

#: What one BatchGetItem may name (DynamoDB's limit): both tables are asked for a page at once.
_KEYS_PER_PAGE = 100


class Chunks(Protocol):
    """Differences by the number of their chunk."""

    def __call__(self, number: int) -> Sequence[FoundDifference]:
        """Raises `CallFailed` where it is worth another try, `EnvironmentFault` where it is not."""
        ...


class DifferenceSource:
    """Pages of keys, each with what was found of it. Its rows hold the keys alone: both tables are read later.

    The cursor is the next difference's place: its chunk, and how many of that chunk come before it.
    """

    def __init__(self, kept: KeptDifferences, chunks: Chunks) -> None:
        self._kept, self._chunks = kept, chunks

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:  # noqa: ARG002
        """Pages from the cursor on. Raises `CallFailed`, `EnvironmentFault`."""
        place = cursor or {"chunk": 0, "line": 0}
        first = place["line"]
        for chunk in range(place["chunk"], self._kept.chunks):
            found = self._chunks(chunk)
            for start in range(first, len(found), _KEYS_PER_PAGE):
                if not budget.wait_to_read():
                    return
                yield _page(chunk, start, found, last=chunk + 1 == self._kept.chunks)
            first = 0


def _page(chunk: int, start: int, found: Sequence[FoundDifference], *, last: bool) -> Page:
    some = found[start : start + _KEYS_PER_PAGE]
    end = start + len(some)
    following: Cursor | None = {"chunk": chunk, "line": end}
    if end == len(found):
        following = None if last else {"chunk": chunk + 1, "line": 0}
    return Page(
        rows=[from_json_key(difference.key) for difference in some],
        next_cursor=following,
        cursor_after=lambda position: {"chunk": chunk, "line": start + position + 1},
        consumed=0.0,
        differences=[difference.kind for difference in some],
    )
