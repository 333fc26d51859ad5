"""Calls of one read that changes nothing, on one table: their pace, and what they meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from reindexer.answers import Action, CallFailed, Scope
from reindexer.dynamo.table import ReadPage, TableClient
from reindexer.dynamo.wire import projection
from reindexer.items import WireItem, WireKey
from reindexer.models import Fault
from reindexer.round_context import RoundContext
from reindexer.throttle import backoff

_PAGE_UNITS = 200.0  # of the 256 that 1 MB costs: rows may be a quarter larger than those of the page before
_PAGE_ROWS = 2000  # larger pages of small rows made the embedded engine a tenth slower, and none faster
_THROTTLED_SECONDS = 5.0  # nothing but throttles: hand back, as a round does; the workflow waits longer
#: Calls in a row without an answer before a person has to see to it: one time-out takes 5 s, as some slices do.
_MOST_UNANSWERED = 3
_UNITS_PER_ROW = 0.125  # read units where an engine reports none: rows of 500 bytes, 4 KB a unit

Answer = TypeVar("Answer")


class Calls:
    """`rate`: read units per second, None for any number; `seconds`: the time slice.

    `units`: read units so far. `throttled`: there was no capacity for too long.
    """

    def __init__(self, table: TableClient, context: RoundContext, rate: float | None, seconds: float) -> None:
        self._table, self._context, self._rate = table, context, rate
        self._deadline = context.now() + seconds
        self._patience = min(_THROTTLED_SECONDS, seconds / 2)  # else a short slice would be over first
        self._next_at = context.now()  # when the budget allows the next call
        self._row_units = 1.0  # read units a row, learnt from each page; up to 4 KB cost one
        self._calls = 0
        self._answered = False  # whether any call brought something
        self._down: Fault | None = None  # why nothing answers, so far
        self._tries = 0  # calls in a row that brought nothing
        self._throttled_at: float | None = None  # since when there were only throttles
        self._scope: Scope | None = None  # how far they reach
        self.throttled = False
        self.units = 0.0
        self.fault: Fault | None = None  # what someone has to fix

    @property
    def throttle(self) -> str | None:
        """How far its throttles reach, where that is known."""
        return self._scope.value if self.throttled and self._scope else None

    def fail(self, fault: Fault) -> None:
        """It cannot go on, for this reason."""
        self.fault = fault

    def go_on_for(self, seconds: float) -> None:
        """Go on for so long from now at least, beyond the time slice, unless it is asked to stop."""
        self._deadline = max(self._deadline, self._context.now() + seconds)

    def may_go_on(self) -> bool:
        """Wait until the budget allows a call. False: fault, asked to stop, or slice over after one call."""
        self._context.heartbeat()
        while self.fault is None and not self._context.stopping():
            if self._throttled_at is not None:
                self.throttled = self._context.now() - self._throttled_at > self._patience
                if self.throttled:
                    return False
            if self._calls and self._context.now() >= self._deadline:
                self.fault = self._down if self._tries >= _MOST_UNANSWERED else None
                return False
            wait = self._next_at - self._context.now()
            if wait <= 0:
                return True
            self._context.wait(wait)
        return False

    def page(
        self, operation: str, asked: Mapping[str, Any], start: WireKey | None, most: int | None = None
    ) -> dict[str, Any] | None:
        """A page of `scan` or `query` after the key `start`, of at most `most` rows; None as from `_attempt`.

        An engine was seen to count a row too many in ScannedCount where 1 MB, not our limit, ends the page. So
        a page that comes short is asked for once more, a row shorter.
        """
        parameters = {"TableName": self._table.table, "ReturnConsumedCapacity": "TOTAL", **asked}
        if start:
            parameters["ExclusiveStartKey"] = start
        limit = self.page_rows() if most is None else min(most, self.page_rows())
        page = self._page(operation, parameters, limit)
        if page is None or not page.get("LastEvaluatedKey") or page["ScannedCount"] >= limit:
            return page
        return self._page(operation, parameters, max(1, page["ScannedCount"] - 1)) if self.may_go_on() else None

    def _page(self, operation: str, parameters: Mapping[str, Any], limit: int) -> dict[str, Any] | None:
        page = self._call(operation, **parameters, Limit=limit)
        if page is not None:
            self._throttled_at = None
            self._spend([page.get("ConsumedCapacity") or {}], page["ScannedCount"])
        return page

    def read(self, operation: str, asked: Mapping[str, Any], start: WireKey | None) -> ReadPage | None:
        """A page as it comes, of the rows alone; otherwise as `page`."""
        limited = {**asked, "Limit": self.page_rows()}
        page = self._attempt(lambda: self._table.read(operation, limited, start))
        if page is not None:
            self._throttled_at = None
            self._spend([{"CapacityUnits": page.consumed}] if page.consumed else [], page.scanned)
        return page

    def get_all(self, keys: Sequence[WireKey], reads: Sequence[str] | None = None) -> list[WireItem] | None:
        """Those of up to 100 keys that exist, read consistently: keys and the attributes `reads`; None: whole.

        None: not all could be read before the slice was over, or it was asked to stop.
        """
        items: list[WireItem] = []
        left = list(keys)
        shape = {} if reads is None or not keys else projection((*keys[0], *reads))
        while left:
            if not self.may_go_on():
                return None
            request = {self._table.table: {"Keys": left, "ConsistentRead": True, **shape}}
            answer = self._call("batch_get_item", RequestItems=request, ReturnConsumedCapacity="TOTAL")
            if answer is None:
                continue
            if answer.get("Responses") is None:  # an answer that lacks what each has: every key would look gone
                self._back_off()
                continue
            for found in answer["Responses"].values():
                items += found
            unprocessed = list((answer.get("UnprocessedKeys") or {}).values())
            before, left = len(left), unprocessed[0]["Keys"] if unprocessed else []
            self._spend(answer.get("ConsumedCapacity") or [], before - len(left))
            if len(left) == before:  # lack of capacity, reported by no error
                self._refused(None)
                self._back_off()
            else:
                self._throttled_at = None
        return items

    def page_rows(self) -> int:
        """Rows of a page: about a second's budget at most, and short of the 1 MB at which DynamoDB ends it."""
        units = min(_PAGE_UNITS, self._rate or _PAGE_UNITS)
        return max(1, min(_PAGE_ROWS, int(units / self._row_units)))

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """One attempt of one API call."""
        return self._attempt(lambda: self._table.call(operation, **parameters))

    def _attempt(self, call: Callable[[], Answer]) -> Answer | None:
        """One attempt. None: it failed; then either `fault` is set, or it has waited for the next one."""
        self._calls += 1
        try:
            answer = call()
        except CallFailed as failed:
            fault = Fault.of(failed.failure)
            if failed.failure.action is Action.WAIT:
                self._refused(failed.failure.scope)
            else:
                self._throttled_at = None
            if failed.failure.action not in (Action.WAIT, Action.RETRY):
                self.fault = fault
                return None
            # A throttle passes. Anything else that lasts for a whole slice has to be seen by a person.
            self._down = fault if failed.failure.action is Action.RETRY and not self._answered else None
            self._back_off()
            return None
        self._answered, self._down, self._tries = True, None, 0
        return answer

    def _refused(self, scope: Scope | None) -> None:
        """For lack of capacity."""
        self._scope = scope or self._scope
        if self._throttled_at is None:
            self._throttled_at = self._context.now()

    def _back_off(self) -> None:
        self._tries += 1
        self._context.wait(backoff(self._tries))

    def _spend(self, capacities: list[dict[str, Any]], rows: int) -> None:
        """Charge a call: the next one waits until its units have been earned."""
        reported = [float(entry["CapacityUnits"]) for entry in capacities if "CapacityUnits" in entry]
        units = sum(reported) if reported else rows * _UNITS_PER_ROW
        self.units += units
        if rows and units:
            self._row_units = units / rows
        if self._rate:
            self._next_at = max(self._next_at, self._context.now()) + units / self._rate
