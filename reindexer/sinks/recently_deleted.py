"""Records this round has deleted, as far as an index that lags behind may still name them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from reindexer.items import WireKey, key_identity
from reindexer.page import Page

#: Keys kept: an index follows within a second or so, in which a round deletes fewer than 5,000 records.
_MAX_KEYS = 5000


class RecentlyDeleted:
    """Keys of records that are deleted and counted: an entry that moves in an index may name them once more."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[object, ...], None] = OrderedDict()

    def add(self, key: WireKey) -> None:
        """It was deleted by this run, and is counted."""
        self._keys[key_identity(key)] = None
        if len(self._keys) > _MAX_KEYS:
            self._keys.popitem(last=False)

    def left_out(self, page: Page, key_names: tuple[str, ...]) -> Page:
        """The page without the entries of these records, where they are still gone."""
        if not self._keys or not page.gone:
            return page
        rows = page.rows
        counted = {
            place
            for place in page.gone
            if key_identity({name: rows[place][name] for name in key_names}) in self._keys
        }
        if not counted:
            return page
        kept = [place for place in range(len(rows)) if place not in counted]
        return replace(
            page,
            rows=[rows[place] for place in kept],
            gone=frozenset(new for new, place in enumerate(kept) if place in page.gone),
            cursor_after=page.cursors_at(kept),
        )
