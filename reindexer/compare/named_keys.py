"""Comparing named keys: each read by its key in both tables, and counted once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reindexer.compare.checkpoint import Checkpoint
from reindexer.compare.confirming import Confirmed, Suspect, Verdict
from reindexer.compare.judging import OF_FIRST, Judge
from reindexer.compare.rows import Identity, Terms
from reindexer.compare.side import Side
from reindexer.compare.window import Row, Window
from reindexer.items import Key, WireItem, WireKey, from_json_key
from reindexer.round_context import RoundContext

#: Keys that are judged together where differences wait for the lag: then one wait serves all of them.
_TOGETHER = 1000
#: What is counted of the other table; of no other verdict it has a row.
_OF_OTHER = {
    Verdict.EQUAL: "matched",
    Verdict.DIFFERENT: "matched",
    Verdict.EXTRANEOUS: "extraneous",
}


class Named:
    """Every key counts as a row of the table: one that the table lacks is `absent`.

    A row of the other table is counted where the verdict says that there is one. Keys are settled in their
    order, so that one number says how far both tables have come.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        sides: tuple[Side, Side],
        window: Window,
        checkpoint: Checkpoint,
        rules: Terms,
        context: RoundContext,
        clock: Callable[[], float],
        lag: float,
    ) -> None:
        self._keys = [from_json_key(key) for key in keys]
        self._sides, self._window, self._checkpoint = sides, window, checkpoint
        self._rules, self._clock, self._lag = rules, clock, lag
        self._judge = Judge(sides, rules, context, clock, lag, self._judged)
        self._verdicts: dict[Identity, Confirmed] = {}

    def work(self) -> bool:
        """Keys in their order. True: to the end; False: as far as this round may go."""
        while self._at < len(self._keys):
            read = self._read()
            if not (read and self._settled()):
                return False
            self._commit()
        for side in self._sides:
            side.finish()
        self._checkpoint.move()
        return True

    def finish(self) -> None:
        """Work on beyond the time slice until some keys are settled, and none waits for the lag."""
        if self._checkpoint.moved and not self._judge.waits and not self._judge.pending:
            return
        for side in self._sides:
            side.calls.go_on_for(float("inf"))
        if self._verdicts or self._judge.pending or self._judge.waits or self._look_at(self._next(0)):
            self._settled()
            self._commit()

    @property
    def _at(self) -> int:
        return self._sides[0].part

    def _next(self, already: int) -> list[WireKey]:
        start = self._at + already
        return self._keys[start : start + self._judge.keys_per_call]

    def _read(self) -> bool:
        """The next keys in both tables: one call of each, or many where differences are to wait."""
        taken = 0
        while taken < (_TOGETHER if self._lag else 1) and (some := self._next(taken)):
            if not self._look_at(some):
                return False
            taken += len(some)
        return True

    def _look_at(self, keys: Sequence[WireKey]) -> bool:
        """Whether they could be read: what is not equal, or not in neither, is suspected."""
        reads = []
        for side in self._sides:
            read = side.get(keys)
            if read is None:
                return False
            reads.append(read)
        present = self._rules.present(self._clock())
        for key in keys:
            identity = self._sides[0].identity(key)
            first, other = (self._there(read.get(identity), present) for read in reads)
            if first is None and other is None:
                self._verdicts[identity] = Confirmed(Verdict.GONE)
            elif first is not None and other is not None and self._rules.equal(first, other):
                self._verdicts[identity] = Confirmed(Verdict.EQUAL)
            else:
                self._judge.add(Suspect(first=Row(identity, key, {}, 0)))
        return True

    @staticmethod
    def _there(row: WireItem | None, present: Callable[[WireItem], bool]) -> WireItem | None:
        return row if row is not None and present(row) else None

    def _settled(self) -> bool:
        """Judge all that is suspected, whenever it is due. False: not all could be."""
        while self._judge.pending or self._judge.waits:
            if self._judge.pending:
                if not self._judge.some():
                    return False
            elif not self._judge.wait():
                return False
        return True

    def _judged(self, suspect: Suspect, confirmed: Confirmed) -> None:
        self._verdicts[suspect.identity] = confirmed

    def _commit(self) -> None:
        """Count the keys that have a verdict, up to the first one that has none."""
        identity = self._sides[0].identity
        taken = 0
        for key in self._keys[self._at :]:
            confirmed = self._verdicts.pop(identity(key), None)
            if confirmed is None:
                break
            self._count(0, OF_FIRST[confirmed.verdict], key, confirmed)
            if confirmed.verdict in _OF_OTHER:
                self._count(1, _OF_OTHER[confirmed.verdict], key, confirmed)
            taken += 1
        for side in self._sides:
            side.pass_keys(taken)
        self._checkpoint.move()

    def _count(self, number: int, outcome: str, key: WireKey, confirmed: Confirmed) -> None:
        side = self._sides[number]
        row = Row(side.identity(key), key, {}, 0)
        self._window.sides[number].push(row)
        row.settle(outcome, self._judge.difference(outcome, key, confirmed))
