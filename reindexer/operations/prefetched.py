"""A job's function over the rows of a page, some of them ahead: a handover costs as much as one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from reindexer.errors import EnvironmentFault
from reindexer.items import WireItem
from reindexer.jobs.bounded import Bounded
from reindexer.jobs.deciding import failure_of
from reindexer.jobs.job import Job
from reindexer.page import Page
from reindexer.round_context import RoundContext

T = TypeVar("T")

#: Records per handover to the helper thread.
_AHEAD = 50


class Prefetched(Generic[T]):
    """Runs `decide`, bounded in time, for records as they are asked for. `pure`: for some ahead as well."""

    def __init__(
        self, job: Job, decide: Callable[[WireItem], T], context: RoundContext | None, *, pure: bool
    ) -> None:
        self._file, self._ahead = job.file, _AHEAD if pure else 1
        self._bounded: Bounded[WireItem, T] = Bounded(decide, job.seconds, context, may_leave=pure)
        self._rows: Sequence[WireItem] = ()
        self._next = 0
        self._known: dict[int, T | Exception] = {}

    def turn_to(self, page: Page) -> None:
        """Its rows are going to be asked for, in this order; some may be left out."""
        self._rows, self._next = page.rows, 0
        self._known.clear()

    def of(self, item: WireItem) -> T:
        """What the function says of the item. Raises `RecordFailed`, `Interrupted`, `EnvironmentFault`."""
        found = self._known.pop(id(item), None)
        if found is None:
            chunk = self._chunk(item)
            results = self._bounded.run(chunk)
            self._next += len(results) if chunk[0] is self._row(self._next) else 0
            found = results[0]
            for row, result in zip(chunk[1:], results[1:], strict=False):
                self._known[id(row)] = result
        if isinstance(found, EnvironmentFault):
            raise found
        if isinstance(found, Exception):
            raise failure_of(found, self._file) from found
        return found

    def _chunk(self, item: WireItem) -> Sequence[WireItem]:
        """The item, and those that are going to be asked for after it."""
        rows = self._rows
        for place in range(self._next, len(rows)):
            if rows[place] is item:
                self._known.clear()  # of rows that were passed over
                self._next = place
                return rows[place : place + self._ahead]
        return [item]

    def _row(self, place: int) -> WireItem | None:
        return self._rows[place] if place < len(self._rows) else None
