"""A table, or an index of it, that answers Query: in memory, with DynamoDB's rules for keys and their order.

It is written apart from what makes the requests, and reads them as DynamoDB does: by their text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

Item = dict[str, Any]


def order(value: Mapping[str, Any]) -> Any:
    """Numbers by value, strings by their UTF-8 bytes, binary by byte."""
    [(kind, content)] = value.items()
    return Decimal(content) if kind == "N" else content.encode() if kind == "S" else content


class ModelPartitions:
    """`rows` is looked at again by each call: a test may change it in between."""

    def __init__(
        self, rows: list[Item], key: Sequence[str], index: Sequence[str] = (), page_rows: int = 1000
    ) -> None:
        self.rows, self._key, self._index, self._page_rows = rows, list(key), list(index), page_rows
        self.queries = 0

    def _place(self, row: Item, names: Sequence[str]) -> list[Any]:
        """Where a row stands: by the index's sort key, then by the table's own key."""
        return [order(row[name]) for name in [*names[1:], *[k for k in self._key if k not in names]]]

    def query(
        self,
        *,
        KeyConditionExpression: str,
        ExpressionAttributeNames: Mapping[str, str],
        ExpressionAttributeValues: Mapping[str, Any],
        IndexName: str | None = None,
        ExclusiveStartKey: Item | None = None,
        Limit: int | None = None,
        ScanIndexForward: bool = True,
        Select: str = "",
        ProjectionExpression: str | None = None,
        **_: Any,
    ) -> Item:
        self.queries += 1
        names = self._index if IndexName else self._key
        text, values = KeyConditionExpression, ExpressionAttributeValues
        first, rest = (*text.split(" AND ", 1), "")[:2]
        alias, placeholder = first.split(" = ")
        assert ExpressionAttributeNames[alias] == names[0]
        found = [row for row in self.rows if all(name in row for name in names)]
        found = [row for row in found if order(row[names[0]]) == order(values[placeholder])]
        if rest:
            found = [row for row in found if _meets(rest, ExpressionAttributeNames, values, row, names[1])]
        found.sort(key=lambda row: self._place(row, names), reverse=not ScanIndexForward)
        if ExclusiveStartKey is not None:
            assert set(ExclusiveStartKey) == {*names, *self._key}, (
                "DynamoDB takes all key attributes, no others"
            )
            start = self._place(ExclusiveStartKey, names)
            found = [row for row in found if self._place(row, names) > start]
        most = min(Limit or self._page_rows, self._page_rows)
        page = found[:most]
        answer: Item = {"Count": len(page), "ScannedCount": len(page)}
        if len(page) == most and most:
            last = page[-1]
            answer["LastEvaluatedKey"] = {name: last[name] for name in {*names, *self._key}}
        if Select != "COUNT":
            shown = ProjectionExpression.split(",") if ProjectionExpression else None
            wanted = None if shown is None else {ExpressionAttributeNames[alias] for alias in shown}
            answer["Items"] = [{n: v for n, v in row.items() if wanted is None or n in wanted} for row in page]
        return answer

    def batch_get_item(self, *, RequestItems: Mapping[str, Any], **_: Any) -> Item:
        [(table, request)] = RequestItems.items()
        asked = [[order(key[name]) for name in self._key] for key in request["Keys"]]
        assert len({str(key) for key in asked}) == len(asked) <= 100
        found = [dict(row) for row in self.rows if [order(row[name]) for name in self._key] in asked]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}


def _meets(text: str, names: Mapping[str, str], values: Mapping[str, Any], row: Item, sort: str) -> bool:
    """Whether a row meets the one condition on the sort key."""
    if begins := re.fullmatch(r"begins_with\((\S+), (\S+)\)", text):
        assert names[begins[1]] == sort
        [(kind, prefix)] = values[begins[2]].items()
        assert kind in ("S", "B")
        return bool(row[sort][kind].startswith(prefix))
    if between := re.fullmatch(r"(\S+) BETWEEN (\S+) AND (\S+)", text):
        assert names[between[1]] == sort
        low, high = order(values[between[2]]), order(values[between[3]])
        assert low <= high, "DynamoDB refuses a range that ends before it begins"
        return bool(low <= order(row[sort]) <= high)
    compare = re.fullmatch(r"(\S+) (=|<|<=|>|>=) (\S+)", text)
    assert compare is not None, text
    assert names[compare[1]] == sort
    a, b = order(row[sort]), order(values[compare[3]])
    return bool({"=": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[compare[2]])
