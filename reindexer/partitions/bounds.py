"""What a Query of a range of a partition asks for, and what it has too much at its ends."""

from __future__ import annotations

from typing import Any

from reindexer.items import WireValue, wire_value
from reindexer.models import PartitionRange, PartitionScope
from reindexer.partitions.sort_keys import Ordered, ordered


class Bounds:
    """The sort key values of one range under the scope's condition, and the one key condition to ask them by.

    DynamoDB takes one sort key condition a Query, so that of a part of a partition its hull is asked for, both
    ends included; `inside` and `beyond` leave out what the hull has too much at its ends.
    """

    def __init__(self, scope: PartitionScope, part: PartitionRange) -> None:
        self._kind = scope.sort.type if scope.sort else "S"  # without a sort key there is nothing to compare
        condition = scope.condition
        self._operator = condition.operator if condition else None
        self._values = condition.values if condition else []
        self._ends = [ordered(self._kind, text) for text in self._values]
        self._first, self._before = part.first, part.before
        self._end = None if part.before is None else ordered(self._kind, part.before)
        #: Whether DynamoDB answers the range exactly.
        self.whole = part.first is None and part.before is None

    def expression(self, name: str) -> tuple[str, dict[str, WireValue]]:
        """(key condition on the sort key called `name`, its values); the empty text where there is none."""
        if self.whole:
            return self._own(name)
        low, high = self._first or self._low(), self._before or self._high()
        if low is not None and high is not None:
            return f"{name} BETWEEN :low AND :high", {":low": self._wire(low), ":high": self._wire(high)}
        if low is not None:
            return f"{name} >= :low", {":low": self._wire(low)}
        assert high is not None, "a part has an end, or a beginning"
        return f"{name} <= :high", {":high": self._wire(high)}

    def _own(self, name: str) -> tuple[str, dict[str, WireValue]]:
        """The scope's condition as it is."""
        values = {f":s{number}": self._wire(text) for number, text in enumerate(self._values)}
        if self._operator is None:
            return "", {}
        if self._operator == "begins_with":
            return f"begins_with({name}, :s0)", values
        if self._operator == "between":
            return f"{name} BETWEEN :s0 AND :s1", values
        sign = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}[self._operator]
        return f"{name} {sign} :s0", values

    def _low(self) -> str | None:
        return self._values[0] if self._operator in ("eq", "gt", "gte", "begins_with", "between") else None

    def _high(self) -> str | None:
        return self._values[-1] if self._operator in ("eq", "lt", "lte", "between") else None

    def _wire(self, text: str) -> WireValue:
        return wire_value(self._kind, text)

    def beyond(self, value: Ordered) -> bool:
        """Whether a value that the hull holds lies past the range: nothing that follows it belongs to it."""
        if self._end is not None and value >= self._end:  # type: ignore[operator]  # one type, one key
            return True
        if self._operator == "begins_with":
            return not value.startswith(self._ends[0])  # type: ignore[union-attr,arg-type]  # S or B
        if self._operator == "lt":
            return value >= self._ends[0]  # type: ignore[operator]
        return self._operator in ("eq", "lte", "between") and value > self._ends[-1]  # type: ignore[operator]

    def inside(self, value: Ordered) -> bool:
        """Whether a value that the hull holds belongs to the range."""
        low = self._operator == "gt" and value <= self._ends[0]  # type: ignore[operator]
        return not low and not self.beyond(value)


def query_of(scope: PartitionScope, part: PartitionRange, bounds: Bounds) -> dict[str, Any]:
    """What a Query of the range says of its keys."""
    condition, values = bounds.expression("#sort")
    names = {"#partition": scope.partition.name}
    if condition and scope.sort is not None:
        names["#sort"] = scope.sort.name
    return {
        **({"IndexName": scope.index} if scope.index else {}),
        "KeyConditionExpression": "#partition = :partition" + (f" AND {condition}" if condition else ""),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {":partition": wire_value(scope.partition.type, part.value), **values},
    }
