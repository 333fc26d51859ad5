"""Verification of named partitions: each whole, however the rounds had cut it.

A gap or an overlap between two parts of a partition does not show in a read by the same parts. The conditions
are boto3's own, built and judged as those of a job's query are.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import boto3.dynamodb.conditions as boto

from reindexer.checks.counted import Counted
from reindexer.checks.judge import Judge
from reindexer.dynamo.calls import Calls
from reindexer.dynamo.table import KEYS_PER_CALL
from reindexer.dynamo.wire import merged, projection
from reindexer.items import WireItem, from_json_key, key_identity
from reindexer.jobs.conditions import Condition, compiled
from reindexer.models import PartitionRanges, PartitionScope, VerifyInput
from reindexer.values import wire

_TO_FINISH = 5.0  # seconds for the rows that entries name, also where the slice is over: a call's read time-out
_PLACE = ""  # holds a cursor's position in the list of values; DynamoDB's attributes have names of at least 1


class PartitionReading:
    """Partitions one after another: of the table by a consistent Query; of an index by its keys, whose rows are
    then read consistently from the table, and must still be what the index said."""

    def __init__(self, request: VerifyInput, calls: Calls, judge: Judge, counted: Counted) -> None:
        assert request.target.within is not None, "partitions of what?"
        self._request, self._scope = request, request.target.within
        self._calls, self._judge, self._counted = calls, judge, counted

    def read(self) -> None:
        """The cursor: the position among the values, and the key there after which to go on."""
        source, scope = self._request.source, self._scope
        assert isinstance(source, PartitionRanges)
        values = [part.value for part in source.ranges]
        place, start = 0, None
        if self._request.cursor:
            cursor = from_json_key(self._request.cursor)
            place = int(cursor.pop(_PLACE)["N"])
            start = cursor or None
        # Of an index no more than one consistent read can follow up, so that a slice always gets somewhere.
        most = KEYS_PER_CALL if scope.index else None
        while place < len(values) and self._calls.may_go_on():
            value = values[place]
            page = self._calls.page("query", self._asked(value), start, most)
            if page is None:
                continue
            found = self._found(value, page)
            if found is None:  # read again: what the entries name could not all be read
                break
            scanned, behind, rows = found
            start = page.get("LastEvaluatedKey") or None
            place += start is None
            following = {**(start or {}), _PLACE: {"N": str(place)}}
            self._counted.add(scanned, behind, rows, following if place < len(values) else None, value)

    def _asked(self, value: str) -> dict[str, Any]:
        """The Query: of the table for rows behind the target, of an index for all its keys."""
        scope = self._scope
        condition = _condition(scope, value, boto.Key)
        made = boto.ConditionExpressionBuilder().build_expression(condition, is_key_condition=True)
        # A job's query is built alike, and joins it in one request: their placeholders must differ.
        names, real = made.attribute_name_placeholders, _names(scope)
        values = made.attribute_value_placeholders
        asked: dict[str, Any] = {
            "KeyConditionExpression": made.condition_expression.replace("#n", "#key").replace(":v", ":key"),
            "ExpressionAttributeNames": {key.replace("#n", "#key"): real[part] for key, part in names.items()},
            "ExpressionAttributeValues": {key.replace(":v", ":key"): wire(v) for key, v in values.items()},
        }
        if scope.index is None:
            return self._judge.narrowed({**asked, "ConsistentRead": True})
        keys = [attribute.name for attribute in self._request.target.key]
        return merged(asked, {"IndexName": scope.index}, projection(keys))

    def _found(self, value: str, page: dict[str, Any]) -> tuple[int, int, list[WireItem]] | None:
        """(rows, how many are behind, these as far as they were read); None: not all could be read in time."""
        scope = self._scope
        if scope.index is None:
            return page["ScannedCount"], *self._judge.of_page(page)
        self._calls.go_on_for(_TO_FINISH)
        # Where an entry moves, a page may show it at both places, and BatchGetItem takes each key once.
        keys = list({key_identity(row): row for row in page.get("Items", [])}.values())
        names = _names(scope)
        reads = None if self._judge.reads is None else (*self._judge.reads, *names.values())
        rows = self._calls.get_all(keys, reads)
        if rows is None:
            return None
        belongs = compiled(_condition(scope, value, boto.Attr))
        found = [
            row for row in rows if belongs({part: row[name] for part, name in names.items() if name in row})
        ]
        behind = self._judge.among(found)
        return len(found), len(behind), behind


def _names(scope: PartitionScope) -> dict[str, str]:
    """The attributes that `partition` and `sort` stand for."""
    sort = {} if scope.sort is None else {"sort": scope.sort.name}
    return {"partition": scope.partition.name, **sort}


def _condition(scope: PartitionScope, value: str, kind: Any) -> Condition:
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
