"""Several lineages read in turn, each onwards into its descendants: what a round of a follow hands out.

Whoever asks for the next page has settled or isolated every change of the one before. So a child is begun when
its parent's last change is settled, and a cursor covers exactly the changes up to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reindexer.answers import Action, CallFailed, Failure
from reindexer.models.streams import Ended, LineageCursor, Position, Reading, ShardId
from reindexer.round_context import RoundContext
from reindexer.streams.changes import Change
from reindexer.streams.failing import FailingShards
from reindexer.streams.lineages import children_of
from reindexer.streams.listing import children
from reindexer.streams.order import is_before_opening
from reindexer.streams.reading import (
    PAGE_RECORDS,
    ChangePage,
    ShardReader,
    after_change,
)
from reindexer.streams.taxonomy import GONE, TRIMMED

if TYPE_CHECKING:
    from collections.abc import Callable

    from reindexer.streams.client import StreamCalls

#: Seconds between two reads of a shard that has nothing new: a change arrives within 2 s, and an hour costs
#: 3,600 read units a shard.
_IDLE_SECONDS = 1.0
#: Seconds of a wait after one turn without changes, before it is doubled: three more reads within a second.
_FIRST_WAIT_SECONDS = 0.1
#: Turns in a row without changes, three seconds, after which the round rests: its last change is reported by
#: then.
_TURNS_BEFORE_REST = 5
#: Shards of a round up to which a page of each may be held ahead: a page is up to 1 MB of JSON.
_FEW_SHARDS = 4
#: Seconds between two questions for the children of a shard that has ended: they are listed late at times.
_CHILDREN_SECONDS = 2.0
#: Seconds for which a shard that has a child is asked for another: of two that were split one may be listed
#: late. After that the look at the whole graph finds it.
_SIBLING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LineagePage:
    """Changes of one stream shard that are to be settled, in order, and where the round goes on.

    Without those from before the opening: they count in the ordinals, and the cursor passes them.
    `at`: by the service's clock. `ended`: the shard ends with this page. `read_ahead`: as of `ChangePage`.
    """

    changes: Sequence[Change]
    cursor: LineageCursor
    shard: ShardId
    before: LineageCursor
    at: datetime
    ended: bool
    read_ahead: Callable[[], None] | None = None

    def cursor_after(self, place: int) -> LineageCursor:
        """After the change at a place of the page, and all before it."""
        reading = self.before.reading[self.shard]
        return _moved(self.before, reading, after_change(reading.position, self.changes[place]))


class Following:
    """Reads lineages in turn, from a cursor on. What it holds of them is lost with it; the cursor is not."""

    def __init__(
        self,
        calls: StreamCalls,
        context: RoundContext,
        opening: datetime | None,
        limit: int = PAGE_RECORDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        noted: Collection[ShardId] = (),
    ) -> None:
        """`opening`: when positions were taken, by the service's clock; None: nothing lies before it.

        `noted`: shards that have ended and are known as such elsewhere. Only those leave the cursor: who looks
        at the whole graph must not take a shard that was read for one that was not.
        """
        self._calls, self._context, self._opening = calls, context, opening
        self._noted = frozenset(noted)
        self._limit, self._clock = limit, clock
        self._readers: dict[ShardId, ShardReader] = {}
        self._asked_at: dict[ShardId, float] = {}  # for children, monotonic
        self._ended_at: dict[ShardId, float] = {}
        self.failing = FailingShards(clock)

    def pages(self, cursor: LineageCursor) -> Iterator[LineagePage]:
        """Pages of one shard after another until asked to stop; those without a change too.

        A shard whose call fails is passed over while others answer, and tried again later and later; `failing`
        knows it. Raises `CallFailed` where all of them fail, or one for good; a caller who wants to go on asks
        again with its cursor.
        """
        idle = 0  # turns in a row that brought nothing
        while not self._context.stopping():
            begun_at, found = self._context.now(), False
            for shard in list(cursor.reading):
                if self._context.stopping():
                    return
                self._context.heartbeat()
                if self.failing.waits(shard, self._context.now()):
                    continue
                try:
                    few = len(cursor.reading) <= _FEW_SHARDS
                    read = self._reader(cursor.reading[shard].position).read(ahead=few)
                except CallFailed as failed:
                    if failed.failure.action not in (Action.WAIT, Action.RETRY):
                        raise _lost(failed.failure, cursor.reading[shard].position) from failed
                    self.failing.add(shard, failed.failure, self._context.now())
                    continue
                self.failing.remove(shard)
                page = self._page(cursor, shard, read)
                found = found or bool(read.changes) or read.ended
                if found:
                    self._context.rest(False)
                cursor = page.cursor
                yield page
            cursor = self._with_children(cursor)
            idle = 0 if found else idle + 1
            self._context.rest(idle >= _TURNS_BEFORE_REST)
            if idle:
                self.failing.raise_where_all(cursor.reading)
                # Short waits first: an empty page may lie before others that are not.
                wait = min(_IDLE_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(idle, 10))
                # A turn through many shards is a wait by itself.
                self._context.wait(max(0.0, wait - (self._context.now() - begun_at)))

    def _reader(self, position: Position) -> ShardReader:
        """The reader that has come to a position; another one where the round was set back."""
        reader = self._readers.get(position.shard)
        if reader is None or reader.position != position:
            reader = ShardReader(self._calls, position, self._limit, self._clock)
            self._readers[position.shard] = reader
        return reader

    def _page(self, cursor: LineageCursor, shard: ShardId, read: ChangePage) -> LineagePage:
        changes = [change for change in read.changes if not self._lies_before(change)]
        after = _moved(cursor, cursor.reading[shard], read.position)
        if read.ended:
            after = _ended(after, shard, self._clock())
            self._readers.pop(shard, None)
        return LineagePage(changes, after, shard, cursor, read.at, read.ended, read.read_ahead)

    def _lies_before(self, change: Change) -> bool:
        return self._opening is not None and is_before_opening(change.changed_at, self._opening)

    def _with_children(self, cursor: LineageCursor) -> LineageCursor:
        """Begin what follows the shards that have ended, as far as it is listed by now; forget those before.

        Raises `CallFailed` where a shard or the stream is gone before its children were found.
        """
        now = self._context.now()
        for shard, end in list(cursor.ended.items()):
            if self._is_over(cursor, shard, end, now):
                left = {name: one for name, one in cursor.ended.items() if name != shard}
                cursor = cursor.model_copy(update={"ended": left})
                continue
            if not self._is_due(shard, now):
                continue
            self._context.heartbeat()
            if self._context.stopping():
                return cursor
            self._asked_at[shard] = now
            try:
                listing = children(self._calls, shard)
            except CallFailed as failed:
                if failed.failure.action not in (Action.WAIT, Action.RETRY):
                    raise
                continue
            begun = {one.position.shard: one for one in children_of(shard, end, listing)}
            new = {name: one for name, one in begun.items() if name not in cursor.ended}
            cursor = cursor.model_copy(update={"reading": new | cursor.reading})
        return cursor

    def _is_due(self, shard: ShardId, now: float) -> bool:
        return now - self._asked_at.get(shard, float("-inf")) >= _CHILDREN_SECONDS

    def _is_over(self, cursor: LineageCursor, shard: ShardId, end: Ended, now: float) -> bool:
        """Whether it has a child, and another one would be listed by now. Ancestors first: a child that is
        forgotten before its parent would be begun again."""
        if shard not in self._noted:
            return False
        lineage: list[Reading | Ended] = [*cursor.reading.values(), *cursor.ended.values()]
        if end.parent in cursor.ended or not any(one.parent == shard for one in lineage):
            return False
        long_ago = end.read_at is not None and (self._clock() - end.read_at).total_seconds() >= _SIBLING_SECONDS
        return long_ago or now - self._ended_at.setdefault(shard, now) >= _SIBLING_SECONDS


def _lost(failure: Failure, position: Position) -> CallFailed:
    """With the range of time whose changes are lost, where some are."""
    if failure.code not in (TRIMMED, GONE):
        return CallFailed(failure)
    since = f"{position.end_at:%Y-%m-%d %H:%M:%S} UTC"
    lost = f"what changed after {since}, and before what the stream still holds, is lost"
    return CallFailed(replace(failure, message=f"{position.shard}: {failure.message.rstrip('. ')}; {lost}"))


def _moved(cursor: LineageCursor, reading: Reading, position: Position) -> LineageCursor:
    moved = {position.shard: reading.model_copy(update={"position": position})}
    return cursor.model_copy(update={"reading": cursor.reading | moved})


def _ended(cursor: LineageCursor, shard: ShardId, at: datetime) -> LineageCursor:
    reading = dict(cursor.reading)
    last = reading.pop(shard)
    end = Ended(ordinal=last.position.ordinal, at=last.position.end_at, read_at=at, parent=last.parent)
    return LineageCursor(reading=reading, ended=cursor.ended | {shard: end})
