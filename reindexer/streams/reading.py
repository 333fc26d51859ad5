"""Reading one stream shard from a position: pages of changes, each with its place along the lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

from reindexer.answers import Action, CallFailed, Failure
from reindexer.models.streams import Position
from reindexer.streams.changes import Change, ChangeKind
from reindexer.streams.client import StreamCalls
from reindexer.streams.taxonomy import EXPIRED_ITERATOR, TRIMMED

#: Records of a page, at most: DynamoDB's limit.
PAGE_RECORDS = 1000
#: Until then the beginning of a shard is certainly kept: changes live for 24 hours. Later a beginning that was
#: trimmed would look like the shard's own, and all ordinals be shifted.
BEGINNING_KEPT = timedelta(hours=20)
#: So far behind, the next page is read while this one is carried. At the tip it would be read before anything
#: is in it, and a shard answers five reads a second, of all who read it.
_BEHIND = timedelta(seconds=10)
#: Changes, next iterator, the service's time.
_Read: TypeAlias = tuple[list[Change], str | None, datetime]
#: How DynamoDB signs the deletions of its time to live.
_TIME_TO_LIVE = "dynamodb.amazonaws.com"


@dataclass(frozen=True, slots=True)
class ChangePage:
    """What one call handed out, in order. An empty page says nothing about what is to come.

    `position`: after the whole page. `ended`: nothing follows in this shard. `at`: by the service's clock.
    `read_ahead`: begins to read the page after it; None: that is for later.
    """

    changes: Sequence[Change]
    position: Position
    ended: bool
    at: datetime
    read_ahead: Callable[[], None] | None = None


def after_change(position: Position, change: Change) -> Position:
    """The position in the same shard once this change is settled."""
    return position.model_copy(
        update={
            "sequence_number": change.sequence_number,
            "ordinal": change.ordinal,
            "changed_at": change.changed_at,
        }
    )


class ShardReader:
    """Reads a stream shard onwards from a position. One at a time: it holds an iterator."""

    def __init__(
        self,
        calls: StreamCalls,
        position: Position,
        limit: int = PAGE_RECORDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`limit`: records of a page at most, 1 to 1,000."""
        self._calls, self._limit, self._clock = calls, limit, clock
        self.position = position
        self._iterator: str | None = None
        self._ahead: Future[_Read] | None = None

    def read(self, *, ahead: bool = True) -> ChangePage:
        """The next page: one GetRecords. An expired iterator is had again, after the same number.

        Far behind, the page after it may be read ahead, where `ahead` is wanted. Raises `CallFailed`: the next
        call reads the same page.
        """
        for attempt in (1, 2):  # one that has just been had and is expired is the service's failure
            if self._iterator is None:
                self._iterator = self._open()
            try:
                changes, following, at = self._next(self._iterator)
                break
            except CallFailed as failed:
                if failed.failure.code != EXPIRED_ITERATOR or attempt == 2:
                    raise
                self._iterator = None
        if changes:
            self.position = after_change(self.position, changes[-1])
        self._iterator = following
        soon = None
        if ahead and following and self._calls.ahead and changes and at - changes[-1].changed_at > _BEHIND:
            soon = partial(self._read_ahead, self._calls.ahead, following)
        return ChangePage(changes, self.position, following is None, at, soon)

    def _read_ahead(self, executor: Executor, iterator: str) -> None:
        self._ahead = executor.submit(self._read, iterator, self.position)

    def _next(self, iterator: str) -> _Read:
        ahead, self._ahead = self._ahead, None
        return ahead.result() if ahead else self._read(iterator, self.position)

    def _read(self, iterator: str, position: Position) -> _Read:
        records, following, at = self._calls.records(iterator, self._limit)
        return _counted(records, position), following, at

    def _open(self) -> str:
        if self.position.sequence_number is None and self._clock() - self.position.found_at > BEGINNING_KEPT:
            message = f"{self.position.shard} was found more than {BEGINNING_KEPT} ago and never read"
            raise CallFailed(Failure(TRIMMED, message, Action.PARK))
        return self._calls.iterator(self.position.shard, self.position.sequence_number)


def _counted(records: Sequence[Mapping[str, Any]], position: Position) -> list[Change]:
    """Every record handed out counts, whatever is made of it later."""
    changes = [_change(record, ordinal) for ordinal, record in enumerate(records, position.ordinal + 1)]
    numbers = [int(change.sequence_number) for change in changes]
    if position.sequence_number is not None:
        numbers.insert(0, int(position.sequence_number))
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        message = f"{position.shard} handed out sequence numbers that do not rise"
        raise CallFailed(Failure("StreamNotInOrder", message, Action.PARK))
    return changes


def _change(record: Mapping[str, Any], ordinal: int) -> Change:
    change = record["dynamodb"]
    by = record.get("userIdentity") or {}
    return Change(
        kind=ChangeKind(record["eventName"]),
        key=change["Keys"],
        new=change.get("NewImage") or None,
        old=tuple(change.get("OldImage") or ()) or None,
        changed_at=datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC),
        sequence_number=change["SequenceNumber"],
        ordinal=ordinal,
        expired=_TIME_TO_LIVE in (by.get("PrincipalId"), by.get("principalId")),
    )
