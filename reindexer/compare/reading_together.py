"""Reading the same parts of two tables together, so that rows of one key meet in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

from reindexer.compare.checkpoint import Checkpoint
from reindexer.compare.confirming import Confirmed, Suspect, Verdict
from reindexer.compare.judging import OF_FIRST, OF_OTHER, Judge
from reindexer.compare.rows import Terms
from reindexer.compare.side import Side
from reindexer.compare.window import Row, Window
from reindexer.items import WireKey
from reindexer.round_context import RoundContext
from reindexer.values import upper_bound


class Meeting:
    """What is not equal when it meets is left to the judge; what meets nothing is looked up by its key."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        window: Window,
        checkpoint: Checkpoint,
        rules: Terms,
        context: RoundContext,
        clock: Callable[[], float],
        lag: float,
    ) -> None:
        self._sides, self._window, self._checkpoint = sides, window, checkpoint
        self._rules, self._clock = rules, clock
        self._judge = Judge(sides, rules, context, clock, lag, self._judged)
        self._overdue: tuple[list[Row], list[Row]] = ([], [])  # to be looked up in the other table

    def work(self) -> bool:
        """Page after page of both. True: to the end; False: as far as this round may go."""
        while True:
            if not self._pending and all(side.ended for side in self._sides):
                self._take_oldest()
                if not self._pending and not self._judge.waits:
                    self._checkpoint.move()
                    return True
            if self._pending:
                if not self._settle():
                    return False
            elif self._judge.waits and (self._judge.full or all(side.ended for side in self._sides)):
                if not self._judge.wait():
                    return False
            elif not self._read_on():
                return False

    def finish(self) -> None:
        """Work on beyond the time slice until some rows have left in order, and none waits for the lag."""
        if not self._judge.waits and self._checkpoint.moved:
            return
        for side in self._sides:
            side.calls.go_on_for(float("inf"))
        if not self._checkpoint.moved:
            self._take_oldest()
        while self._settle() and self._judge.waits:
            if not self._judge.wait():
                return

    # ── Reading ────────────────────────────────────────────────────────────────────────────────────────────

    def _read_on(self) -> bool:
        """One page of one side, or the end of all parts. False: not now."""
        together = len({side.part for side in self._sides}) == 1
        if self._checkpoint.enough and together and all(side.between for side in self._sides):
            for side in self._sides:
                side.finish()
            return True
        number = self._next()
        if not self._sides[number].calls.may_go_on():
            return False
        self._read(number)
        self._checkpoint.move()
        return True

    def _next(self) -> int:
        """The side to read: one that is in an earlier part, or the one that lags behind."""
        first, other = self._sides
        if first.ended or other.ended:
            return int(first.ended)
        if first.part != other.part:
            return int(other.part < first.part)
        return self._window.lagging

    def _read(self, number: int) -> None:
        side = self._sides[number]
        part = side.part
        rows = side.page()
        if rows is None:
            return
        present = self._rules.present(self._clock())
        for item in rows:
            if unnamed := side.unnamed(item):
                self._add_unnamed(number, *unnamed, part, side.after(item))
                continue
            row = Row(side.identity(item), side.key(item), item, upper_bound(item), part, side.after(item))
            if present(item):
                self._add(number, row)
            else:
                self._window.sides[number].push(row)
                row.settle("other_absent" if number else "absent")
        for place, queue in enumerate(self._window.sides):
            self._overdue[place].extend(queue.overdue())

    def _add_unnamed(self, number: int, name: WireKey, outcome: str, part: int, after: WireKey) -> None:
        row = Row((), name, {}, 0, part, after)
        self._window.sides[number].push(row)
        row.settle(outcome, self._judge.difference(outcome, name, Confirmed(Verdict.MOVING)))

    def _add(self, number: int, row: Row) -> None:
        counterpart, before = self._window.add(number, row)
        if before is not None:
            self._overdue[number].append(before)
        if counterpart is None:
            return
        first, other = (counterpart, row) if number else (row, counterpart)
        if self._rules.equal(first.item, other.item):
            first.settle("equal")
            other.settle("matched")
        else:
            self._judge.add(Suspect(first, other))

    # ── Settling ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _pending(self) -> bool:
        """Whether rows are to be looked up or confirmed before more are read."""
        return bool(self._judge.pending or any(self._overdue))

    def _take_oldest(self) -> None:
        """Of each side some rows that wait, as if they had waited for too long."""
        for rows, queue in zip(self._overdue, self._window.sides, strict=True):
            rows.extend(queue.oldest(self._judge.keys_per_call))

    def _settle(self) -> bool:
        """Look up what fell out of the window, and confirm what may differ. False: it could not all be read."""
        for number, rows in enumerate(self._overdue):
            while rows:
                if not self._look_up(number, rows):
                    return False
                if self._judge.pending >= self._judge.keys_per_call and not self._confirm():
                    return False
        while self._judge.pending:
            if not self._confirm():
                return False
        self._checkpoint.move()
        return True

    def _look_up(self, number: int, rows: list[Row]) -> bool:
        """The oldest of these rows in the other table. False: they could not be read now."""
        some = {
            row.identity: row for row in reversed(rows[: self._judge.keys_per_call])
        }  # a key twice: its first row
        found = self._sides[1 - number].get([row.key for row in some.values()])
        if found is None:
            return False
        present = self._rules.present(self._clock())
        for identity, row in some.items():
            counterpart = found.get(identity)
            there = counterpart is not None and present(counterpart)
            if number and there:
                row.settle("matched")
            elif there and counterpart is not None and self._rules.equal(row.item, counterpart):
                row.settle("equal")
            else:
                self._judge.add(Suspect(other=row) if number else Suspect(first=row))
        looked_up = set(map(id, some.values()))
        rows[:] = [row for row in rows if id(row) not in looked_up]
        return True

    def _confirm(self) -> bool:
        done = self._judge.some()
        self._checkpoint.move()
        return done

    def _judged(self, suspect: Suspect, confirmed: Confirmed) -> None:
        """Each row its outcome; the difference goes with the row that counts it."""
        verdict, first, other = confirmed.verdict, suspect.first, suspect.other
        if first is not None:
            outcome = OF_FIRST[verdict]
            first.settle(outcome, self._judge.difference(outcome, first.key, confirmed))
        if other is not None:
            # A key that moves is counted once.
            outcome = "matched" if first and verdict is Verdict.MOVING else OF_OTHER[verdict]
            other.settle(outcome, self._judge.difference(outcome, other.key, confirmed))
