"""Confirming a suspected difference: the row, its counterpart, and the row again, all consistently.

Where both reads of the row agree, it was so all the time between them, and whatever the counterpart was like in
that time is a finding and no accident of when each was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from reindexer.compare.rows import Identity, Terms
from reindexer.compare.side import Side
from reindexer.compare.window import Row
from reindexer.items import WireItem
from reindexer.round_context import RoundContext
from reindexer.throttle import backoff

#: Sandwiches before a key counts as moving: a row that is written twice a second holds still in one of them.
TRIES = 5


class Verdict(Enum):
    """What a key is like in both tables."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MISSING = "missing"
    EXTRANEOUS = "extraneous"
    GONE = "gone"  # from both
    MOVING = "moving"


@dataclass(slots=True)
class Suspect:
    """A key that may differ, with the rows of it that the scans have handed out: of one side or of both.

    `looks`: how often it was found to differ and left for later; `seen`: what its row was like the last time,
    None: not there; `due`: when it is looked at again, in monotonic seconds.
    """

    first: Row | None = None
    other: Row | None = None
    looks: int = 0
    seen: WireItem | None = None
    due: float = 0.0

    def looked(self, seen: WireItem | None, due: float) -> None:
        """It differs, and is looked at again later. What the scans have handed out is no longer needed."""
        self.looks, self.seen, self.due = self.looks + 1, seen, due
        for row in (self.first, self.other):
            if row is not None:
                row.item = {}

    @property
    def row(self) -> Row:
        """Any of them: their keys are one."""
        row = self.first or self.other
        assert row is not None, "a key that no scan has handed out"
        return row

    @property
    def identity(self) -> Identity:
        return self.row.identity


@dataclass(slots=True)
class Confirmed:
    """`first` and `other`: as they were read last; None: not there."""

    verdict: Verdict
    first: WireItem | None = None
    other: WireItem | None = None


def distinct(suspects: Sequence[Suspect], most: int) -> list[Suspect]:
    """The first ones, no key twice: one call may name each only once."""
    found: dict[Identity, Suspect] = {}
    for suspect in suspects:
        found.setdefault(suspect.identity, suspect)
        if len(found) == most:
            break
    return list(found.values())


def confirm(
    suspects: Sequence[Suspect],
    first: Side,
    other: Side,
    rules: Terms,
    context: RoundContext,
    clock: Callable[[], float],
) -> dict[Identity, Confirmed]:
    """Each of up to 100 suspects that could be read before the slice was over, all its reads together."""
    found: dict[Identity, Confirmed] = {}
    left = list(suspects)
    for tried in range(TRIES):
        keys = [suspect.row.key for suspect in left]
        reads = []
        for side in (first, other, first):
            read = side.get(keys)
            if read is None:
                return found
            reads.append(read)
        present = rules.present(clock())
        again = []
        for suspect in left:
            confirmed = _judged(suspect.identity, reads, rules, present)
            if confirmed is None:
                again.append(suspect)
            else:
                found[suspect.identity] = confirmed
        left = again
        if not left:
            return found
        if tried < TRIES - 1:
            context.wait(backoff(tried + 1))
    return found | {suspect.identity: Confirmed(Verdict.MOVING) for suspect in left}


def _judged(
    identity: Identity,
    reads: Sequence[Mapping[Identity, WireItem]],
    rules: Terms,
    present: Callable[[WireItem], bool],
) -> Confirmed | None:
    """None: the row did not hold still."""
    before, other, after = (read.get(identity) for read in reads)
    before, other, after = (row if row and present(row) else None for row in (before, other, after))
    if (before is None) is not (after is None) or (before and after and not rules.equal(before, after)):
        return None
    if after is None:
        return Confirmed(Verdict.GONE if other is None else Verdict.EXTRANEOUS, after, other)
    if other is None:
        return Confirmed(Verdict.GONE if rules.optional(after) else Verdict.MISSING, after, other)
    verdict = Verdict.EQUAL if rules.equal(after, other) else Verdict.DIFFERENT
    return Confirmed(verdict, after, other)
