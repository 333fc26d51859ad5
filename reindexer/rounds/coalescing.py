"""Changes of a stream that a later change of the same record makes needless.

Of several changes of a record in one batch's worth of a page the newest is sent. The others are superseded once
it is settled; if it leaves the round without an outcome, the one before it is sent after all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeAlias

from reindexer.items import Change, key_identity
from reindexer.models import Isolated
from reindexer.page import Page
from reindexer.rounds.pending_write import PendingWrite
from reindexer.tally import Outcome

#: The record of a change, and the batch's worth of the page that the change is in.
_Name: TypeAlias = tuple[object, ...]


class Coalescing(Generic[Change]):
    """The changes of the page in hand that are held back.

    `together`: changes of a batch. Only among that many is one held back: a round sends one batch at least, so
    that each settles the first change of its first page, however slow the destination is. `room`: whether one
    more may wait.
    """

    def __init__(self, together: int, room: Callable[[], bool]) -> None:
        self._together, self._room = together, room
        self._names: list[_Name] = []  # of the changes, by their place
        self._newest: dict[_Name, int] = {}  # the last place of each
        self._held: dict[_Name, list[PendingWrite[Change]]] = {}
        self._released: list[PendingWrite[Change]] = []

    def turn_to(self, page: Page) -> None:
        """The next page is in hand; only one of a stream names a record more than once."""
        self._held, self._released = {}, []
        self._names = [
            (place // self._together, *key_identity(change.key)) for place, change in enumerate(page.changes)
        ]
        self._newest = {name: place for place, name in enumerate(self._names)}

    def holds(self, work: PendingWrite[Change]) -> bool:
        """Whether it is held back, until `settled` says what becomes of it."""
        if not self._newest:  # most jobs follow no stream
            return False
        name = self._names[work.position]
        if self._newest[name] == work.position or not self._room():
            return False
        self._held.setdefault(name, []).append(work)
        return True

    def settled(self, position: int, result: Outcome | Isolated) -> list[PendingWrite[Change]]:
        """The changes that are superseded by the one at `position`."""
        if not self._held:
            return []
        held = self._held.get(self._names[position], [])
        earlier = [work for work in held if work.position < position]
        if not earlier:
            return []
        if isinstance(result, Isolated):
            held.remove(earlier[-1])
            self._released.append(earlier[-1])
            return []
        held[:] = [work for work in held if work.position > position]
        return earlier

    def released(self) -> list[PendingWrite[Change]]:
        """Those that are to be sent after all; each is returned once."""
        released, self._released = self._released, []
        return released
