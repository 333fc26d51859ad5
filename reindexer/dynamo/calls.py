"""Calls of one read that changes nothing, on one table: their pace, and what they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reindexer.dynamo.attempts import Attempts
from reindexer.dynamo.table import ReadPage, TableClient
from reindexer.dynamo.wire import projection
from reindexer.items import WireItem, WireKey
from reindexer.round_context import RoundContext

_PAGE_UNITS = 200.0  # of the 256 that 1 MB costs: rows may be a quarter larger than those of the page before
_PAGE_ROWS = 2000  # larger pages of small rows made the embedded engine a tenth slower, and none faster
_UNITS_PER_ROW = 0.125  # read units where an engine reports none: rows of 500 bytes, 4 KB a unit


class Calls(Attempts):
    """On a table. `rate`: read units per second, None for any number."""

    def __init__(self, table: TableClient, context: RoundContext, rate: float | None, seconds: float) -> None:
        super().__init__(context, seconds)
        self._table, self._rate = table, rate
        self._row_units = 1.0  # read units a row, learnt from each page; up to 4 KB cost one

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
        page = self._through(lambda: self._table.call(operation, **parameters, Limit=limit))
        if page is not None:
            self._spend([page.get("ConsumedCapacity") or {}], page["ScannedCount"])
        return page

    def read(self, operation: str, asked: Mapping[str, Any], start: WireKey | None) -> ReadPage | None:
        """A page as it comes, of the rows alone; otherwise as `page`."""
        limited = {**asked, "Limit": self.page_rows()}
        page = self._through(lambda: self._table.read(operation, limited, start))
        if page is not None:
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

    def _spend(self, capacities: list[dict[str, Any]], rows: int) -> None:
        """Charge a call: the next one waits until its units have been earned."""
        reported = [float(entry["CapacityUnits"]) for entry in capacities if "CapacityUnits" in entry]
        units = sum(reported) if reported else rows * _UNITS_PER_ROW
        self.units += units
        if rows and units:
            self._row_units = units / rows
        if self._rate:
            self._next_at = max(self._next_at, self._context.now()) + units / self._rate
