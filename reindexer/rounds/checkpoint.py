"""How far a round has got: (cursor, tally, isolated records), one value.

It covers exactly the rows up to the cursor, the end of the longest prefix whose rows are all settled or
isolated. A row settled beyond it is not in the tally yet, so that a crash neither loses nor doubles it: its
stamp tells the successor what happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reindexer.items import Cursor, WireKey
from reindexer.models import Isolated
from reindexer.models.streams import Followed
from reindexer.models.unconfirmed import unconfirmed_bytes
from reindexer.page import Page
from reindexer.partitions.tallies import PartitionTallies
from reindexer.tally import DONE, Outcome, Tally

#: Isolated records a round hands over before it returns: their activities are worth more than new ones, and a
#: heartbeat carries all of them.
MAX_ISOLATED = 50
#: The same in bytes of JSON: 50 records with keys of 150 bytes, or 15 with the longest ones.
MAX_ISOLATED_BYTES = 128 * 1024
#: Bytes of JSON of the keys of rows that are begun and not settled: a heartbeat may have to name each of them.
#: A hundred keys of up to 300 bytes stay below it; of the longest keys there are, 30 are under way at a time.
MAX_UNSETTLED_BYTES = 128 * 1024


@dataclass(slots=True)
class _PageRow:
    """A row of the page in hand; `result` None: under way."""

    key: WireKey
    size: int  # bytes of JSON that it takes in a heartbeat
    result: Outcome | Isolated | None = None
    counted: bool = False  # before its turn


class Checkpoint:
    """A round's count, from `cursor` on.

    `named`: a record that is gone may be handed out again, by its key or by an index that lags behind. Else
    what is deleted is counted at once, wherever the cursor is, since no successor will meet it.
    """

    def __init__(self, cursor: Cursor | None, *, named: bool) -> None:
        self.named = named
        #: Where to go on; None: at the beginning.
        self.cursor = cursor
        self._scanned = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._isolated: list[Isolated] = []
        self._most = MAX_ISOLATED  # still to be isolated, settled or beyond the cursor
        self._most_bytes = MAX_ISOLATED_BYTES
        self._deletes = False  # whether any record was deleted
        self.partitions = PartitionTallies()
        self._followed: Followed | None = None
        self._rows: list[_PageRow] = []  # of the page in hand, those that were begun
        self._cursor_after: Callable[[int], Cursor]  # as the page in hand has it
        self._prefix = 0  # rows of the page that are settled or isolated, without a gap
        self._passed = 0  # rows that the cursor has passed
        #: Bytes of JSON that rows which are begun, and not settled or isolated, may take in a heartbeat.
        self.unsettled = 0

    @property
    def scanned(self) -> int:
        """Rows up to the cursor."""
        return self._scanned

    @property
    def begun(self) -> int:
        """Rows of the page in hand that were begun."""
        return len(self._rows)

    @property
    def full(self) -> bool:
        """Whether as many records are isolated as a round hands over, those beyond the cursor among them."""
        return self._most <= 0 or self._most_bytes <= 0

    def turn_to(self, page: Page) -> None:
        """The next page is in hand. All rows of the one before are settled, or will be handed out again."""
        self._rows, self._prefix, self.unsettled = [], 0, 0
        self._cursor_after = page.cursor_after
        self.partitions.turn_to(page.partition, self._counted)

    def begin(self, key: WireKey) -> None:
        """The page's next row is under way."""
        row = _PageRow(key, unconfirmed_bytes(key, self.partitions.in_hand))
        self._rows.append(row)
        self.unsettled += row.size

    def drop(self) -> None:
        """The row begun last was not begun after all."""
        self.unsettled -= self._rows.pop().size

    def settle(self, position: int, result: Outcome | Isolated) -> None:
        """A row of the page has its outcome, or leaves the round."""
        row = self._rows[position]
        row.result = result
        if result is not Outcome.DELETED or not self.named:  # else it is named until the cursor passes it
            self.unsettled -= row.size
        if isinstance(result, Isolated):
            self._most -= 1
            self._most_bytes -= row.size + len(result.model_dump_json().encode())
        elif result is Outcome.DELETED:
            self._deletes = True

    def advance(self, page: Page) -> bool:
        """Count what is settled; whether that is all of the page: then the cursor passes its filtered rows."""
        self.catch_up()
        handled = self._prefix == len(page.rows)
        if handled and page.next_cursor is not None:
            self.cursor = page.next_cursor
        if handled and isinstance(page.followed, Followed):
            self._followed = page.followed
        return handled

    def count_gone(self, partitions: Sequence[str | None]) -> None:
        """Records deleted by an earlier round, one of each partition, that no source hands out any more."""
        for partition in partitions:
            self.partitions.turn_to(partition, self._counted)
            self._outcomes[Outcome.DELETED] += 1
            self._scanned += 1

    def isolated_beyond(self) -> Iterator[tuple[WireKey, Isolated]]:
        """Isolated, and not handed over yet: a successor meets them as rows again."""
        for row in self._rows[self._prefix :]:
            if isinstance(row.result, Isolated):
                yield row.key, row.result

    def deleted_beyond(self) -> Iterator[WireKey]:
        """Deleted, and not counted yet: a successor meets them as gone, and has to know why."""
        if self._deletes and self.named:
            for row in self._rows[self._prefix :]:
                if row.result is Outcome.DELETED:
                    yield row.key

    def ahead(self, inherited: int, sent: Sequence[int]) -> int:
        """Rows beyond the cursor up to the last one that may carry this run's stamp.

        `inherited`: those of the round's beginning; `sent`: positions of rows that are not settled, to which a
        write was sent that was not answered.
        """
        beyond = range(len(self._rows) - 1, self._prefix - 1, -1)
        stamped = next((place for place in beyond if _may_carry(self._rows[place].result)), -1)
        own = max([stamped, *sent]) + 1 - self._prefix if stamped >= 0 or sent else 0
        return max(own, inherited - self._passed, 0)

    def fields(self) -> dict[str, Any]:
        """Those of a `Progress` that are one value."""
        self.catch_up()
        counted = self._counted()
        return {
            "cursor": self.cursor,
            "tally": counted,
            "isolated": list(self._isolated),
            "partitions": self.partitions.upto(counted),
            "followed": self._followed,
        }

    def _counted(self) -> Tally:
        return Tally(scanned=self._scanned, **{o.value: self._outcomes[o] for o in Outcome})

    def catch_up(self) -> None:
        """Move the cursor to the end of the settled prefix, and count what it passes."""
        rows, prefix = self._rows, self._prefix
        first = prefix
        while prefix < len(rows) and (result := rows[prefix].result) is not None:
            if isinstance(result, Isolated):
                self._isolated.append(self.partitions.marked(result))
            elif not rows[prefix].counted:
                self._outcomes[result] += 1
            if result is Outcome.DELETED and self.named:
                self.unsettled -= rows[prefix].size
            prefix += 1
        if prefix > first:
            self._prefix = prefix
            self._scanned += prefix - first
            self._passed += prefix - first
            self.cursor = self._cursor_after(prefix - 1)
        if self._deletes and not self.named:
            self._count_deleted(first)

    def _count_deleted(self, first: int) -> None:
        rows = self._rows
        self._scanned -= sum(row.counted for row in rows[first : self._prefix])
        for row in rows[self._prefix :]:
            if row.result is Outcome.DELETED and not row.counted:
                row.counted = True
                self._outcomes[Outcome.DELETED] += 1
                self._scanned += 1


def _may_carry(result: Outcome | Isolated | None) -> bool:
    """Whether a row with this result may show what this run has written; a deleted one shows nothing."""
    if isinstance(result, Isolated):
        return result.unknown
    return result is not None and result is not Outcome.DELETED and result in DONE
