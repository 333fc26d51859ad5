"""Which rows are behind a target: as a filter that DynamoDB judges by, and for rows read by key."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from reindexer.dynamo.wire import merged, projection
from reindexer.items import WireItem
from reindexer.models import Target
from reindexer.operations import verb_of

#: True for a row that is not at the target: version missing, lower, or no number at all. DynamoDB never finds
#: values of two types in order; the type is asked for in case an engine does.
BEHIND = "NOT (attribute_type(#v, :n) AND #v >= :v)"
#: True for a row that carries either attribute: what is behind of a job that removes them.
STAMPED = "attribute_exists(#v) OR attribute_exists(#r)"
#: True for a row that the job was to leave alone.
_EXPIRED = "attribute_type(#ttl, :n) AND #ttl >= :first AND #ttl < :before"


class RowRule:
    """The rule of one target, about a row's attributes alone. `counted`: the number of rows is enough.

    `query`: pages come from a Query, whose filter must not name the table's keys.
    """

    def __init__(self, target: Target, *, counted: bool, query: bool) -> None:
        self._target, self._counted = target, counted
        self._keys = [attribute.name for attribute in target.key]
        self._version, self._run = target.attributes.version, target.attributes.run
        self._expiry, self._stamps = target.expiry, verb_of(target.operation).stamps
        ttl = [target.expiry.attribute] if target.expiry else []
        #: What rows that `among` is to judge must be read with besides their keys; None: with all.
        self.reads: tuple[str, ...] | None = (*ttl, self._version, self._run)
        #: Where expiry is looked at in the rows that come back.
        self._unfiltered = query and target.expiry is not None and target.expiry.attribute in self._keys

    def filter(self) -> dict[str, Any]:
        """What makes a read return rows behind the target alone."""
        asked: dict[str, Any] = {
            "FilterExpression": BEHIND,
            "ExpressionAttributeNames": {"#v": self._version},
            "ExpressionAttributeValues": {":v": {"N": str(self._target.version)}, ":n": {"S": "N"}},
        }
        expiry = None if self._unfiltered else self._expiry
        if not self._stamps:
            asked = {
                "FilterExpression": STAMPED if expiry is None else f"({STAMPED})",
                "ExpressionAttributeNames": {"#v": self._version, "#r": self._run},
            }
        if expiry is None:
            return asked
        values = {":n": {"S": "N"}, ":first": {"N": str(expiry.first)}, ":before": {"N": str(expiry.before)}}
        return merged(
            asked,
            {
                "FilterExpression": f"{asked['FilterExpression']} AND NOT ({_EXPIRED})",
                "ExpressionAttributeNames": {"#ttl": expiry.attribute},
                "ExpressionAttributeValues": values,
            },
        )

    def narrowed(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A Scan or Query for rows behind the target: their number, or their keys alone."""
        asked = merged(asked, self.filter())
        if self._counted and not self._unfiltered:
            return {**asked, "Select": "COUNT"}
        return merged(asked, projection(self._keys))

    def of_page(self, page: dict[str, Any]) -> tuple[int, list[WireItem]]:
        """(how many rows of such a page are behind, these where they came with it)."""
        rows: list[WireItem] = page.get("Items", [])
        if not self._unfiltered:
            return page["Count"], rows
        rows = [row for row in rows if not self._left_alone(row)]
        return len(rows), rows

    def among(self, items: Sequence[WireItem]) -> list[WireItem]:
        """Those behind of rows read by key."""
        return [item for item in items if self.is_behind(item)]

    def is_behind(self, item: WireItem) -> bool:
        """The filter's own rule."""
        if not self._stamps:
            return (self._version in item or self._run in item) and not self._left_alone(item)
        number = item.get(self._version, {}).get("N")
        if number is not None and Decimal(number) >= self._target.version:
            return False
        return not self._left_alone(item)

    def _left_alone(self, item: WireItem) -> bool:
        """Likewise for what had expired when the job began."""
        expiry = self._expiry
        number = item.get(expiry.attribute, {}).get("N") if expiry else None
        return expiry is not None and number is not None and expiry.first <= Decimal(number) < expiry.before
