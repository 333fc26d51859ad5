"""One table, one honest attempt per call: pages, batches, single writes and consistent reads.

Every method either returns what DynamoDB said or raises `CallFailed` with its meaning. Nothing here retries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from reindexer.answers import Action, Answers, CallFailed, Failure
from reindexer.dynamo.taxonomy import of_call, of_statement
from reindexer.items import WireItem, WireKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEYS_PER_CALL = 100  # DynamoDB's limit of one BatchGetItem
#: What a call can raise that has a meaning; anything else is a defect of ours and must surface as one.
_CALL_ERRORS = (ClientError, BotoCoreError, ResponseParserError, OSError)


@dataclass(slots=True)
class ReadPage:
    """What one Scan or Query returned: rows in the order of DynamoDB. `last_key` None: nothing follows."""

    rows: list[WireItem]
    last_key: WireKey | None
    consumed: float  # read units
    scanned: int  # rows DynamoDB looked at, before a filter


class TableClient:
    """The calls the engine makes on one table. Thread-safe, as boto3 clients are."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client: Any = client  # wire dictionaries in and out; boto3's stubs would want each typed
        self.table = table

    def call(self, operation: str, statements: int = 1, **parameters: Any) -> dict[str, Any]:
        """One attempt of one API call. Raises `CallFailed`."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except _CALL_ERRORS as error:
            raise CallFailed(of_call(error, statements)) from error
        return answer

    def read(self, operation: str, parameters: Mapping[str, Any], start: WireKey | None) -> ReadPage:
        """One page of a `scan` or `query`, after the key `start`."""
        arguments = {"TableName": self.table, "ReturnConsumedCapacity": "TOTAL", **parameters}
        if start is not None:
            arguments["ExclusiveStartKey"] = start
        answer = self.call(operation, **arguments)
        if answer.get("Items") is None and answer.get("Count") is None:  # it would look like the table's end
            raise CallFailed(_torn(operation))
        rows = answer.get("Items") or []
        return ReadPage(
            rows,
            answer.get("LastEvaluatedKey") or None,
            _units(answer.get("ConsumedCapacity")) or 0.0,
            answer.get("ScannedCount", len(rows)),
        )

    def execute_batch(self, statements: Sequence[Mapping[str, Any]]) -> Answers:
        """Up to 25 PartiQL write statements in one call; each is applied or refused on its own."""
        answer = self.call(
            "batch_execute_statement",
            len(statements),
            Statements=statements,
            ReturnConsumedCapacity="TOTAL",
        )
        responses = answer.get("Responses") or []
        if len(responses) != len(statements):  # which of them were applied, no one can say
            raise CallFailed(_torn("batch_execute_statement"))
        errors = [response.get("Error") for response in responses]
        failures = [None if error is None else of_statement(error) for error in errors]
        capacity = answer.get("ConsumedCapacity") or []
        units = [_units(entry) for entry in capacity]
        consumed = sum(unit for unit in units if unit is not None) if units else None
        return Answers(failures, consumed)

    def update(self, parameters: Mapping[str, Any]) -> float | None:
        """One UpdateItem; the write units it consumed, or None where the engine does not say."""
        answer = self.call("update_item", TableName=self.table, ReturnConsumedCapacity="TOTAL", **parameters)
        return _units(answer.get("ConsumedCapacity"))

    def delete(self, parameters: Mapping[str, Any]) -> float | None:
        """One DeleteItem; as `update`."""
        answer = self.call("delete_item", TableName=self.table, ReturnConsumedCapacity="TOTAL", **parameters)
        return _units(answer.get("ConsumedCapacity"))

    def put(self, parameters: Mapping[str, Any]) -> float | None:
        """One PutItem; as `update`."""
        answer = self.call("put_item", TableName=self.table, ReturnConsumedCapacity="TOTAL", **parameters)
        return _units(answer.get("ConsumedCapacity"))

    def get_some(
        self, keys: Sequence[WireKey], projection: Mapping[str, Any]
    ) -> tuple[list[WireItem], list[WireKey], float]:
        """One consistent BatchGetItem of up to `KEYS_PER_CALL` keys: (found, not processed, read units)."""
        request = {"Keys": list(keys), "ConsistentRead": True, **projection}
        answer = self.call("batch_get_item", RequestItems={self.table: request}, ReturnConsumedCapacity="TOTAL")
        left = list((answer.get("UnprocessedKeys") or {}).values())
        responses = answer.get("Responses") or {}
        if not responses and not left:  # else every key would look gone
            raise CallFailed(_torn("batch_get_item"))
        found = responses.get(self.table)
        if found is None:  # asked for by ARN, answered by name
            found = next(iter(responses.values()), [])
        unprocessed = left[0]["Keys"] if left else []
        consumed = sum(_units(entry) or 0.0 for entry in answer.get("ConsumedCapacity") or [])
        return found, unprocessed, consumed


def _torn(operation: str) -> Failure:
    """An answer without what every answer holds: whatever was asked may have been done."""
    message = f"{operation}: the answer is not complete"
    return Failure("IncompleteAnswer", message, Action.RETRY, None, "server_errors")


def _units(capacity: Mapping[str, Any] | None) -> float | None:
    """Capacity units of one `ConsumedCapacity`, indexes included; None where there is none."""
    if not capacity or "CapacityUnits" not in capacity:
        return None
    return float(capacity["CapacityUnits"])
