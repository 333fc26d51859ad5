"""How far a round has got: (cursor, tally, isolated records), one value.

It covers exactly the rows up to the cursor, the end of the longest prefix whose rows are all settled or
isolated. A row settled beyond it is not in the tally yet, so that a crash neither loses nor doubles it: its
stamp tells the successor what happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from reindexer.by_partition import PartitionTallies
from reindexer.dynamo.table import Page
from reindexer.items import WireKey, from_json_key, to_json_key
from reindexer.models import Isolated, Progress
from reindexer.tally import Outcome, Tally
from reindexer.work import PageRow

#: Isolated records a round hands over before it returns: their activities are worth more than new ones, and a
#: heartbeat carries all of them.
MOST_ISOLATED = 50


class Reached:
    """One attempt's count on top of `base`: what an earlier attempt had reached, or the round's own beginning.

    `named`: a record that is gone may be handed out again, by its key or by an index that lags behind. Else
    what is deleted is counted at once, wherever the cursor stands, since no successor will meet it.
    """

    def __init__(self, base: Progress, *, named: bool) -> None:
        self._base, self.named = base, named
        self._cursor = base.cursor
        self._scanned = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._isolated = list(base.isolated)
        self._most = MOST_ISOLATED - len(base.isolated)  # still to be isolated, settled or beyond the cursor
        self._deletes = False  # whether any record was deleted
        self.partitions = PartitionTallies(base.partitions)
        self._page: list[PageRow] = []
        self._prefix = 0  # rows of the page that are settled or isolated, without a gap

    @property
    def cursor(self) -> WireKey | None:
        """Where to go on; None: at the beginning."""
        return from_json_key(self._cursor) if self._cursor else None

    @property
    def scanned(self) -> int:
        """Rows up to the cursor, an earlier attempt's included."""
        return self._base.tally.scanned + self._scanned

    @property
    def begun(self) -> int:
        """Rows of the page in hand that were begun."""
        return len(self._page)

    @property
    def full(self) -> bool:
        """Whether as many records are isolated as a round hands over, those beyond the cursor among them."""
        return self._most <= 0

    def turn_to(self, page: Page) -> None:
        """The next page is in hand. All rows of the one before are settled, or will be handed out again."""
        self._page, self._prefix = [], 0
        self.partitions.turn_to(page.partition, self._counted)

    def begin(self, key: WireKey, cursor: WireKey) -> None:
        """The page's next row is under way."""
        self._page.append(PageRow(key, cursor))

    def drop(self) -> None:
        """The row begun last was not begun after all."""
        self._page.pop()

    def settle(self, position: int, result: Outcome | Isolated) -> None:
        """A row of the page has its outcome, or leaves the round."""
        self._page[position].result = result
        if isinstance(result, Isolated):
            self._most -= 1
        elif result is Outcome.DELETED:
            self._deletes = True

    def advance(self, page: Page) -> bool:
        """Count what is settled; whether that is all of the page: then the cursor passes its filtered rows."""
        self._advance()
        handled = self._prefix == len(page.rows)
        if handled and page.last_key is not None:
            self._cursor = to_json_key(page.last_key)
        return handled

    def count_gone(self, partitions: Sequence[str | None]) -> None:
        """Records deleted by an earlier attempt, one of each partition, that no source hands out any more."""
        for partition in partitions:
            self.partitions.turn_to(partition, self._counted)
            self._outcomes[Outcome.DELETED] += 1
            self._scanned += 1

    def isolated_beyond(self) -> Iterator[tuple[WireKey, Isolated]]:
        """Isolated, and not handed over yet: a successor meets them as rows again."""
        for row in self._page[self._prefix :]:
            if isinstance(row.result, Isolated):
                yield row.key, row.result

    def fields(self) -> dict[str, Any]:
        """Those of a `Progress` that are one value."""
        self._advance()
        counted = self._counted()
        return {
            "cursor": self._cursor,
            "tally": self._base.tally + counted,
            "isolated": list(self._isolated),
            "partitions": self.partitions.upto(counted),
        }

    def _counted(self) -> Tally:
        """Of this attempt alone."""
        return Tally(scanned=self._scanned, **{o.value: self._outcomes[o] for o in Outcome})

    def _advance(self) -> None:
        """Move the cursor to the end of the settled prefix, and count what it passes."""
        page, prefix = self._page, self._prefix
        first = prefix
        while prefix < len(page) and (result := page[prefix].result) is not None:
            if isinstance(result, Isolated):
                self._isolated.append(self.partitions.marked(result))
            elif not page[prefix].counted:
                self._outcomes[result] += 1
            prefix += 1
        if prefix > first:
            self._prefix = prefix
            self._scanned += prefix - first
            self._cursor = to_json_key(page[prefix - 1].cursor)
        if self._deletes and not self.named:
            self._count_deleted(first)

    def _count_deleted(self, first: int) -> None:
        page = self._page
        self._scanned -= sum(row.counted for row in page[first : self._prefix])
        for row in page[self._prefix :]:
            if row.result is Outcome.DELETED and not row.counted:
                row.counted = True
                self._outcomes[Outcome.DELETED] += 1
                self._scanned += 1
