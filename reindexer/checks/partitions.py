"""Verification of named partitions: each whole, however the rounds had cut it.

A gap or an overlap between two parts of a partition does not show in a read by the same parts. The conditions
are boto3's own, built and judged as those of a job's query are.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import boto3.dynamodb.conditions as boto

from reindexer.checks.pace import Paced
from reindexer.items import WireItem, from_json_key, key_identity
from reindexer.jobs.conditions import Condition, compiled
from reindexer.models import PartitionRanges, PartitionScope
from reindexer.values import wire

_KEYS_PER_CALL = 100  # DynamoDB's limit
_TO_FINISH = 5.0  # seconds for the rows that entries name, also where the slice is over: a call's read time-out
_PLACE = ""  # holds a cursor's position in the list of values; DynamoDB's attributes have names of at least 1


class PartitionReading(Paced):
    """Partitions one after another: of the table by a consistent Query; of an index by its keys, whose rows are
    then read consistently from the table, and must still be what the index said."""

    def partitions(self) -> None:
        """The cursor: the position among the values, and the key there after which to go on."""
        scope, source = self._request.target.within, self._request.source
        assert scope is not None, "partitions of what?"
        assert isinstance(source, PartitionRanges)
        values = [part.value for part in source.ranges]
        place, start = 0, None
        if self._request.cursor:
            cursor = from_json_key(self._request.cursor)
            place = int(cursor.pop(_PLACE)["N"])
            start = cursor or None
        while place < len(values) and self._may_go_on():
            value = values[place]
            condition = _asked(scope, value, boto.Key)
            asked = self._asked_of_keys(scope, condition)
            more = {"ExclusiveStartKey": start} if start else {}
            # Of an index no more than one consistent read can follow up, so that a slice always gets somewhere.
            most = _KEYS_PER_CALL if scope.index else None
            page = self._page("query", {**asked, **more}, most)
            if page is None:
                continue
            self._spend([page.get("ConsumedCapacity") or {}], page["ScannedCount"])
            found = self._found(scope, value, page)
            if found is None:  # read again: what the entries name could not all be read
                break
            scanned, behind, rows = found
            start = page.get("LastEvaluatedKey") or None
            place += start is None
            following = {**(start or {}), _PLACE: {"N": str(place)}}
            self._count(scanned, behind, rows, following if place < len(values) else None, value)

    @property
    def _ttl_is_key(self) -> bool:
        """A Query's filter must not name the table's keys: then the rows that come back are looked at."""
        keys = [attribute.name for attribute in self._request.target.key]
        return self._expiry is not None and self._expiry.attribute in keys

    def _asked_of_keys(self, scope: PartitionScope, condition: Condition) -> dict[str, Any]:
        """The Query: of the table for rows behind the target, of an index for all its keys."""
        made = boto.ConditionExpressionBuilder().build_expression(condition, is_key_condition=True)
        # A job's query is built alike, and joins it in one request: their placeholders must differ.
        expression = made.condition_expression.replace("#n", "#key").replace(":v", ":key")
        real = _names(scope)
        aliases = {
            name.replace("#n", "#key"): real[part] for name, part in made.attribute_name_placeholders.items()
        }
        values = {
            name.replace(":v", ":key"): wire(value) for name, value in made.attribute_value_placeholders.items()
        }
        keys = [attribute.name for attribute in self._request.target.key]
        keyed = {f"#k{number}": name for number, name in enumerate(keys)}
        asked: dict[str, Any] = {
            "TableName": self._request.target.table,
            "KeyConditionExpression": expression,
            "ReturnConsumedCapacity": "TOTAL",
        }
        names = {**aliases, **keyed}
        if scope.index is not None:
            return {
                **asked,
                "IndexName": scope.index,
                "ProjectionExpression": ",".join(keyed),
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        behind = self._filter(expired=not self._ttl_is_key)
        asked |= {
            **behind,
            "ConsistentRead": True,
            "ExpressionAttributeNames": {**behind["ExpressionAttributeNames"], **aliases},
            "ExpressionAttributeValues": {**behind.get("ExpressionAttributeValues", {}), **values},
        }
        if self._judge:  # it needs whole items
            return self._judge.filtered(asked, unnamed=keys)
        if self._keep is None and not self._ttl_is_key:
            return {**asked, "Select": "COUNT"}
        asked["ExpressionAttributeNames"] |= keyed
        return {**asked, "ProjectionExpression": ",".join(keyed)}

    def _found(
        self, scope: PartitionScope, value: str, page: dict[str, Any]
    ) -> tuple[int, int, list[WireItem]] | None:
        """(rows, how many are behind, these as far as they were read); None: not all could be read in time."""
        rows: list[WireItem] = page.get("Items", [])
        if scope.index is None:
            if self._judge:
                rows = self._judge.behind(rows)
            elif self._ttl_is_key:
                rows = [row for row in rows if not self._left_alone(row)]
            else:
                return page["ScannedCount"], page["Count"], rows
            return page["ScannedCount"], len(rows), rows
        belongs = compiled(_asked(scope, value, boto.Attr))
        names = _names(scope)
        self._deadline = max(self._deadline, self._context.now() + _TO_FINISH)
        # Where an entry moves, a page may show it at both places, and BatchGetItem takes each key once.
        named = list({key_identity(row): row for row in rows}.values())
        some = self._read_all(named, list(names.values())) if named else []
        if some is None:
            return None
        found = [
            item for item in some if belongs({part: item[name] for part, name in names.items() if name in item})
        ]
        behind = [item for item in found if self._is_behind(item)]
        if self._judge:
            behind = self._judge.behind(behind)
        return len(found), len(behind), behind


def _names(scope: PartitionScope) -> dict[str, str]:
    """The attributes that `partition` and `sort` stand for."""
    sort = {} if scope.sort is None else {"sort": scope.sort.name}
    return {"partition": scope.partition.name, **sort}


def _asked(scope: PartitionScope, value: str, kind: Any) -> Condition:
    """What a row of the partition holds, as a condition on its keys (`Key`) or on its attributes (`Attr`).

    The names in it are stand-ins: boto3 would read a dot in an attribute's name as the way into a map.
    """
    condition: Condition = kind("partition").eq(_python(scope.partition.type, value))
    if scope.condition is not None and scope.sort is not None:
        bounds = [_python(scope.sort.type, text) for text in scope.condition.values]
        condition = condition & getattr(kind("sort"), scope.condition.operator)(*bounds)
    return condition


def _python(kind: str, text: str) -> Any:
    if kind == "N":
        return Decimal(text)
    return base64.b64decode(text) if kind == "B" else text
