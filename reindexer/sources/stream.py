"""Changes of some lineages of a table's stream, page by page, without an end."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reindexer.items import Cursor
from reindexer.models import Followed, Lineages
from reindexer.models.streams import Ended, LineageCursor, Reading, ShardId
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.streams.client import StreamCalls
from reindexer.streams.following import Following, LineagePage
from reindexer.streams.reading import PAGE_RECORDS
from reindexer.throttle import Budget

#: Seconds of empty pages after which all that changed before them has been handed out: an empty page alone says
#: nothing, and DynamoDB puts a change into its stream within a second or so.
SETTLES_SECONDS = 60.0
#: Seconds between two rounds for which an idle stream counts as still idle: a round begins within one or two.
_GAP_SECONDS = 10.0


class StreamSource:
    """The `Source` of a shard that follows. Its pages are settled before the next one is read."""

    def __init__(
        self,
        source: Lineages,
        calls: StreamCalls,
        context: RoundContext,
        before: Followed | None = None,
        noted: Collection[ShardId] = (),
    ) -> None:
        """`before`: at the end of the round before; `noted`: as of `Following`."""
        self._source, self._calls, self._context = source, calls, context
        self._noted = noted
        self._before = before
        self._lineages: dict[ShardId, _Lineage] = {}
        self._following: Following | None = None  # it knows which shards fail, and since when

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:  # noqa: ARG002
        """Pages until asked to stop, none of more changes than a second's budget. Raises `CallFailed`."""
        rate = budget.records.rate
        limit = PAGE_RECORDS if rate is None else max(1, min(PAGE_RECORDS, int(rate)))
        if self._following is None:
            opening = self._source.opened_at
            self._following = Following(self._calls, self._context, opening, limit, noted=self._noted)
        start = LineageCursor(reading=self._source.reading, ended=self._source.ended)
        if cursor is not None:
            start = LineageCursor.model_validate(cursor)
        for page in self._following.pages(start):
            yield self._page(page)

    def _page(self, page: LineagePage) -> Page:
        self._note(page)
        return Page(
            rows=[change.key for change in page.changes],
            next_cursor=_travelling(page.cursor),
            cursor_after=lambda place: _travelling(page.cursor_after(place)),
            consumed=0.0,  # of the table; the stream's reads are not its capacity
            changes=page.changes,
            followed=self._followed(page),
            read_ahead=page.read_ahead,
        )

    def _note(self, page: LineagePage) -> None:
        lineage = self._lineages.setdefault(page.shard, _Lineage(empty_since=self._empty_before(page.at)))
        moved = page.before.reading[page.shard].position != _position(page)
        if page.changes:
            lineage.changed_at = page.changes[-1].changed_at
        if moved or lineage.unread_for(page.at) > _GAP_SECONDS:
            lineage.empty_since = None
        elif lineage.empty_since is None:
            lineage.empty_since = page.at
        lineage.read_at = page.at

    def _empty_before(self, at: datetime) -> datetime | None:
        """Since when pages came empty in the round before; None where it ended too long ago to tell."""
        before = self._before
        if before is None or not before.empty_since_ms or at.timestamp() - before.at_ms / 1000 > _GAP_SECONDS:
            return None
        return datetime.fromtimestamp(before.empty_since_ms / 1000, UTC)

    def _followed(self, page: LineagePage) -> Followed:
        """What no page of this round has said yet is as it was at the end of the one before."""
        reading, before = page.cursor.reading, self._before or Followed()
        tips = self._tips(page.cursor)
        every = [lineage for lineage in tips if lineage is not None]
        unread = len(every) < len(tips)
        through = [round(lineage.through * 1000) for lineage in every] + [before.through_ms] * unread
        lags = [lineage.lag(page.at) for lineage in every] + [self._lag_before(page.at)] * unread
        empty = [lineage.empty_since for lineage in every if not lineage.lag(page.at) and lineage.empty_since]
        all_empty = bool(empty) and len(empty) == len(tips)
        failing = self._following and self._following.failing.longest(
            reading, before.failing, self._context.now()
        )
        return Followed(
            through_ms=max(0, before.through_ms, min(through, default=0)),
            lag_ms=max(0, round(max(lags, default=0.0) * 1000)),
            at_ms=_ms(page.at),
            shards=len(reading),
            empty_since_ms=_ms(max(empty)) if all_empty else 0,
            failing=failing,
        )

    def _tips(self, cursor: LineageCursor) -> list[_Lineage | None]:
        """Where each lineage is: its shard that is read, or that has ended and has no child yet.

        Of a child that has not been read: where its parent was. None: this round has not read it.
        """
        lineage: list[Reading | Ended] = [*cursor.reading.values(), *cursor.ended.values()]
        parents = {one.parent for one in lineage}
        waiting = [shard for shard in cursor.ended if shard not in parents]
        read = [
            self._lineages.get(shard) or self._lineages.get(one.parent or shard)
            for shard, one in cursor.reading.items()
        ]
        return [*read, *(self._lineages.get(shard) for shard in waiting)]

    def _lag_before(self, at: datetime) -> float:
        """Seconds that a shard is behind which has not been read in this round; a round begins at once."""
        before = self._before
        if before is None or not before.at_ms:
            return max(0.0, (at - self._source.opened_at).total_seconds())
        return before.lag_ms / 1000 + _unread(at.timestamp() - before.at_ms / 1000)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


@dataclass
class _Lineage:
    """What this round has seen of one stream shard. Times are the service's."""

    changed_at: datetime | None = None  # of its last change
    empty_since: datetime | None = None  # pages in a row
    read_at: datetime | None = None

    @property
    def through(self) -> float:
        """Every change up to then has been handed out, seconds since 1970; 0: not known."""
        settles = timedelta(seconds=SETTLES_SECONDS)
        times = [self.changed_at] if self.changed_at else []
        if self.empty_since and self.read_at and self.read_at - self.empty_since >= settles:
            times.append(self.read_at - settles)
        return max((time.timestamp() for time in times), default=0.0)

    def unread_for(self, at: datetime) -> float:
        """Seconds since it was read."""
        return (at - self.read_at).total_seconds() if self.read_at else 0.0

    def lag(self, at: datetime) -> float:
        """Seconds behind at that time; 0 while pages come empty. It grows while the shard cannot be read."""
        behind = 0.0
        if self.changed_at and self.read_at and not self.empty_since:
            behind = (self.read_at - self.changed_at).total_seconds()
        return behind + _unread(self.unread_for(at))


def _unread(seconds: float) -> float:
    """For so long changes may have come that no one has read. Less than a gap between rounds counts as none."""
    return seconds if seconds > _GAP_SECONDS else 0.0


def _position(page: LineagePage) -> object:
    reading = page.cursor.reading.get(page.shard)
    return reading.position if reading else None


def _travelling(cursor: LineageCursor) -> Cursor:
    return cursor.model_dump(mode="json", exclude_defaults=True)
