"""compare_segment: segment k of N of two tables, read together and compared key by key."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from reindexer.checks.calls import Calls
from reindexer.compare.checkpoint import Checkpoint, Keep
from reindexer.compare.describing import described
from reindexer.compare.rows import Rules
from reindexer.compare.sandwich import Confirmed, Suspect, Verdict, confirm, distinct
from reindexer.compare.side import Side
from reindexer.compare.window import Row, Window
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, one_line
from reindexer.items import to_json_key
from reindexer.models import Fault
from reindexer.models.comparison import CompareInput, CompareResult, Difference, Differing, FoundDifference
from reindexer.round_context import RoundContext
from reindexer.values import upper_bound

log = logging.getLogger(__name__)

#: Rows and bytes of one side that may wait for their counterparts. Tables that are scanned in one order meet
#: within a page; sixteen rounds of a process hold at most a few hundred MB.
_MOST_ROWS, _MOST_BYTES = 2000, 4 * 1024 * 1024
#: Differences kept together. 1,000 are some 300 KB of JSON, and a tenth of that compressed.
_KEPT_TOGETHER = 1000


class Bounds(NamedTuple):
    """Of one side, what may wait for the other: rows, and bytes; and how many differences are kept together."""

    rows: int = _MOST_ROWS
    bytes: int = _MOST_BYTES
    kept_together: int = _KEPT_TOGETHER


_BOUNDS = Bounds()

#: What a verdict makes of a row of the table, and of one of the other table.
_OF_FIRST = {
    Verdict.EQUAL: "equal",
    Verdict.DIFFERENT: "different",
    Verdict.MISSING: "missing",
    Verdict.EXTRANEOUS: "absent",  # it was deleted since: the other table's own row counts
    Verdict.GONE: "absent",
    Verdict.MOVING: "moving",
}
_OF_OTHER = {
    Verdict.EQUAL: "matched",
    Verdict.DIFFERENT: "matched",
    Verdict.MISSING: "other_absent",
    Verdict.EXTRANEOUS: "extraneous",
    Verdict.GONE: "other_absent",
    Verdict.MOVING: "other_moving",
}

_KINDS = frozenset(kind.value for kind in Difference)


def compare_segment(
    request: CompareInput,
    tables: tuple[TableClient, TableClient],
    context: RoundContext,
    keep: Keep,
    *,
    bounds: Bounds = _BOUNDS,
    clock: Callable[[], float] = time.time,
) -> CompareResult:
    """Compare the segment of both tables, on from the cursor. Writes to neither; differences go to `keep`.

    Stops at the end of the time slice or when asked to, with `cursor` where to go on and `done` False. Each key
    is judged once: with the table's row where there is one, else with the other table's. What is not equal at
    first sight is confirmed by reading both again. Memory is bounded, whatever differs and in whatever order
    rows come. Waits out throttles; where there is nothing else for 5 s it hands back as `throttled`. A broken
    environment is returned as `fault`. What `keep` has taken may be handed to it again under its number: then
    it takes the place of what it was.
    """
    comparing = _Comparing(request, tables, context, keep, bounds, clock)
    try:
        comparing.run()
    except EnvironmentFault as error:  # the ledger cannot be written
        comparing.fail(Fault.of(error))
    except Exception as error:  # a defect: what was counted before is not lost for it
        log.exception("comparison of %s failed", request.target.table)
        comparing.fail(Fault(code=type(error).__name__, message=one_line(error)))
    return comparing.result()


def of_other(fault: Fault | None, table: str) -> Fault | None:
    """The fault with the name of the other table: else the first one would be looked at."""
    return fault and fault.model_copy(update={"message": f"the other table, {table}: {fault.message}"})


class _Comparing:
    def __init__(
        self,
        request: CompareInput,
        tables: tuple[TableClient, TableClient],
        context: RoundContext,
        keep: Keep,
        bounds: Bounds,
        clock: Callable[[], float],
    ) -> None:
        target, share, other = request.target, request.share, request.target.other
        assert other is not None, "compared with what?"
        self._context, self._clock = context, clock
        rates = (share.read_units, share.other_read_units)
        self._first, self._other = self._sides = (
            Side(Calls(tables[0], context, rates[0], request.seconds), target.key, request.source),
            Side(Calls(tables[1], context, rates[1], request.seconds), target.key, request.source),
        )
        self._rules = Rules(other.left_out, other.expiries)
        self._window = Window(bounds.rows, bounds.bytes)
        self._overdue: tuple[list[Row], list[Row]] = ([], [])  # to be looked up in the other table
        self._suspects: list[Suspect] = []
        self._checkpoint = Checkpoint(request, self._sides, self._window, context, keep, bounds.kept_together)
        self._other_name = other.table
        self._done = False
        context.heartbeat(self._checkpoint.covered)

    def run(self) -> None:
        """Page after page of both, until both have ended and every row has its outcome."""
        self._done = self._work()
        if not self._done and not self._checkpoint.moved:
            # The slice was too short for any row to leave in order: work on until one does.
            for side in self._sides:
                side.calls.go_on_for(float("inf"))
            self._take_oldest()
            self._settle()
        self._checkpoint.flush()

    def fail(self, fault: Fault) -> None:
        """It cannot go on, for this reason."""
        self._first.calls.fail(fault)

    def result(self) -> CompareResult:
        """The counts and where to go on: they cover exactly the rows up to the cursor."""
        first, other = self._first.calls, self._other.calls
        fault = first.fault or of_other(other.fault, self._other_name)
        result = self._checkpoint.covered()
        covered = self._done and result.cursor == self._checkpoint.end
        return result.model_copy(
            update={
                "done": covered and fault is None,
                "fault": fault,
                "throttled": first.throttled or other.throttled,
                "throttle": first.throttle or other.throttle,
            }
        )

    def _work(self) -> bool:
        """True: to the end. False: as far as this round may go."""
        while True:
            if not self._pending and self._first.ended and self._other.ended:
                self._take_oldest()
                if not self._pending:
                    self._checkpoint.move()
                    return True
            if self._pending:
                if not self._settle():
                    return False
                continue
            number = self._next()
            if not self._sides[number].calls.may_go_on():
                return False
            self._read(number)
            self._checkpoint.move()

    # ── Reading ────────────────────────────────────────────────────────────────────────────────────────────

    def _next(self) -> int:
        """The side to read: the one that lags behind, unless it has ended."""
        side = self._window.lagging
        return 1 - side if self._sides[side].ended else side

    def _read(self, number: int) -> None:
        side = self._sides[number]
        rows = side.page()
        if rows is None:
            return
        present = self._rules.present(self._clock())
        for item in rows:
            row = Row(side.identity(item), side.key(item), item, upper_bound(item))
            if present(item):
                self._add(number, row)
            else:
                self._window.sides[number].push(row)
                row.settle("other_absent" if number else "absent")
        for place, queue in enumerate(self._window.sides):
            self._overdue[place].extend(queue.overdue())

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
            self._suspects.append(Suspect(first, other))

    # ── Settling ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _pending(self) -> bool:
        """Whether rows are to be looked up or confirmed before more are read."""
        return bool(self._suspects or any(self._overdue))

    @property
    def _at_once(self) -> int:
        return min(side.at_once() for side in self._sides)

    def _take_oldest(self) -> None:
        """Of each side some rows that wait, as if they had waited for too long."""
        for rows, queue in zip(self._overdue, self._window.sides, strict=True):
            rows.extend(queue.oldest(self._at_once))

    def _settle(self) -> bool:
        """Look up what fell out of the window, and confirm what may differ. False: it could not all be read."""
        for number, rows in enumerate(self._overdue):
            while rows:
                if not self._look_up(number, rows):
                    return False
                if len(self._suspects) >= self._at_once and not self._confirm():
                    return False
        while self._suspects:
            if not self._confirm():
                return False
        self._checkpoint.move()
        return True

    def _look_up(self, number: int, rows: list[Row]) -> bool:
        """The oldest of these rows in the other table. False: they could not be read now."""
        some = {row.identity: row for row in reversed(rows[: self._at_once])}  # a key twice: its first row
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
                self._suspects.append(Suspect(other=row) if number else Suspect(first=row))
        looked_up = set(map(id, some.values()))
        rows[:] = [row for row in rows if id(row) not in looked_up]
        return True

    def _confirm(self) -> bool:
        """The first of the suspects. False: they could not all be read now."""
        some = distinct(self._suspects, self._at_once)
        found = confirm(some, self._first, self._other, self._rules, self._context, self._clock)
        settled = {id(suspect) for suspect in some if suspect.identity in found}
        for suspect in some:
            if suspect.identity in found:
                self._judge(suspect, found[suspect.identity])
        self._suspects = [suspect for suspect in self._suspects if id(suspect) not in settled]
        self._checkpoint.move()
        return len(settled) == len(some)

    def _judge(self, suspect: Suspect, confirmed: Confirmed) -> None:
        """Each row its outcome; the difference goes with the row that counts it."""
        verdict, first, other = confirmed.verdict, suspect.first, suspect.other
        if first is not None:
            outcome = _OF_FIRST[verdict]
            first.settle(outcome, self._difference(outcome, first, confirmed))
        if other is not None:
            # A key that moves is counted once.
            outcome = "matched" if first and verdict is Verdict.MOVING else _OF_OTHER[verdict]
            other.settle(outcome, self._difference(outcome, other, confirmed))

    def _difference(self, outcome: str, row: Row, confirmed: Confirmed) -> FoundDifference | None:
        kind = outcome.removeprefix("other_")
        if kind not in _KINDS:
            return None
        attributes, more = list[Differing](), 0
        if confirmed.first is not None and confirmed.other is not None:
            attributes, more = described(*map(self._rules.content, (confirmed.first, confirmed.other)))
        key = to_json_key(row.key)
        return FoundDifference(kind=Difference(kind), key=key, attributes=attributes, more=more)
