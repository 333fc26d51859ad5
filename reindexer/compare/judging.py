"""Judging keys that may differ: confirmed by reading both tables again, and once more after the copy's lag.

A copy that is written asynchronously is behind its table for a while, and that is no difference. What still
differs after the lag, of a row that has not changed meanwhile, is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from reindexer.compare.confirming import TRIES, Confirmed, Suspect, Verdict, confirm, distinct
from reindexer.compare.describing import described
from reindexer.compare.rows import Terms
from reindexer.compare.side import Side
from reindexer.items import WireKey, to_json_key
from reindexer.models.comparison import Difference, Differing, FoundDifference
from reindexer.round_context import RoundContext
from reindexer.values import upper_bound

#: Keys that may wait for the lag at the same time; then no more is read. A row is some 500 bytes to hold.
_MAX_WAITING = 1000
_WAITING_BYTES = 4 * 1024 * 1024  # of their rows: as much as a window holds

_DIFFER = frozenset((Verdict.DIFFERENT, Verdict.MISSING, Verdict.EXTRANEOUS))
#: What a verdict makes of a row of the table, and of one of the other table.
OF_FIRST = {
    Verdict.EQUAL: "equal",
    Verdict.DIFFERENT: "different",
    Verdict.MISSING: "missing",
    Verdict.EXTRANEOUS: "absent",  # it was deleted since: the other table's own row counts
    Verdict.GONE: "absent",
    Verdict.MOVING: "moving",
}
OF_OTHER = {
    Verdict.EQUAL: "matched",
    Verdict.DIFFERENT: "matched",
    Verdict.MISSING: "other_absent",
    Verdict.EXTRANEOUS: "extraneous",
    Verdict.GONE: "other_absent",
    Verdict.MOVING: "other_moving",
}
_KINDS = frozenset(kind.value for kind in Difference)


class Judge:
    """Suspects in the order in which they came. `settle` is called once for each, with its verdict.

    `lag`: seconds for which a difference has to persist.
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        rules: Terms,
        context: RoundContext,
        clock: Callable[[], float],
        lag: float,
        settle: Callable[[Suspect, Confirmed], None],
    ) -> None:
        self._sides, self._rules, self._context, self._clock = sides, rules, context, clock
        self._lag, self._settle = lag, settle
        self._suspects: list[Suspect] = []
        self._waiting: deque[Suspect] = deque()  # in the order in which they are due
        self._bytes = 0  # of the rows of those that wait

    def add(self, suspect: Suspect) -> None:
        """One more, to be confirmed."""
        self._suspects.append(suspect)

    @property
    def pending(self) -> int:
        """How many are to be confirmed now."""
        now = self._context.now()
        while self._waiting and self._waiting[0].due <= now:
            suspect = self._waiting.popleft()
            self._bytes -= upper_bound(suspect.seen or {})
            self._suspects.append(suspect)
        return len(self._suspects)

    @property
    def waits(self) -> bool:
        """Whether any is to be confirmed once more, later."""
        return bool(self._waiting)

    @property
    def full(self) -> bool:
        """Whether too many wait for more to be read."""
        return len(self._waiting) >= _MAX_WAITING or self._bytes >= _WAITING_BYTES

    def wait(self) -> bool:
        """Until the first of those that wait is due; the others follow soon. False: asked to stop."""
        self._context.wait(max(0.0, self._waiting[0].due - self._context.now()))
        return not self._context.stopping()

    @property
    def keys_per_call(self) -> int:
        """Keys that are read in one call, of either side."""
        return min(side.keys_per_call() for side in self._sides)

    def some(self) -> bool:
        """Confirm the first ones, no key twice. False: they could not all be read now."""
        some = distinct(self._suspects, self.keys_per_call)
        found = confirm(some, *self._sides, self._rules, self._context, self._clock)
        read = {id(suspect) for suspect in some if suspect.identity in found}
        self._suspects = [suspect for suspect in self._suspects if id(suspect) not in read]
        for suspect in some:
            if suspect.identity in found:
                self._decide(suspect, found[suspect.identity])
        return len(read) == len(some)

    def difference(self, outcome: str, key: WireKey, confirmed: Confirmed) -> FoundDifference | None:
        """What is kept of a key with this outcome; None: it is no difference."""
        kind = outcome.removeprefix("other_")
        if kind not in _KINDS:
            return None
        attributes, more = list[Differing](), 0
        if confirmed.first is not None and confirmed.other is not None:
            contents = (self._rules.content(confirmed.first), self._rules.content(confirmed.other))
            attributes, more = described(*contents)
        return FoundDifference(kind=Difference(kind), key=to_json_key(key), attributes=attributes, more=more)

    def _decide(self, suspect: Suspect, confirmed: Confirmed) -> None:
        """Settle it, or wait for the lag where the row has not been seen like this before."""
        if not self._lag or confirmed.verdict not in _DIFFER or self._held_still(suspect, confirmed):
            self._settle(suspect, confirmed)
        elif suspect.looks == TRIES:
            self._settle(suspect, Confirmed(Verdict.MOVING))
        else:
            suspect.looked(confirmed.first, self._context.now() + self._lag)
            self._bytes += upper_bound(suspect.seen or {})
            self._waiting.append(suspect)

    def _held_still(self, suspect: Suspect, confirmed: Confirmed) -> bool:
        """Whether the row is what it was a lag ago."""
        if not suspect.looks or (suspect.seen is None) is not (confirmed.first is None):
            return False
        return suspect.seen is None or self._rules.equal(suspect.seen, confirmed.first or {})
