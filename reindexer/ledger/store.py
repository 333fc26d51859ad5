"""The ledger's table itself: making it, checking it, and calls whose errors say what they mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from reindexer.answers import Action
from reindexer.dynamo.client import no_client
from reindexer.dynamo.credentials import Signer
from reindexer.dynamo.taxonomy import of_call
from reindexer.dynamo.transport import check_crc32
from reindexer.errors import EnvironmentFault, Refused, Unavailable
from reindexer.items import WireItem
from reindexer.settings import aws_region

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: How long making the table may take, seconds: DynamoDB needs 5 to 20 for an empty one.
_MAX_SECONDS_TO_CREATE = 120.0


class ConditionFailed(Exception):
    """A conditional write of the ledger was refused. Never leaves the ledger."""


def ledger_client(region: str | None = None) -> DynamoDBClient:
    """A client with retries: the ledger's calls are not counted, and safe to repeat.

    Raises `EnvironmentFault` where AWS's settings do not suffice (no region, broken profile).
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 5},  # about 4 s of back-off in all
        connect_timeout=3,  # seconds; as for counted work
        read_timeout=5,  # seconds; DynamoDB answers in milliseconds
        max_pool_connections=64,  # keys behind are kept 8 at a time, by several of a process's 16 rounds
    )
    session = botocore.session.get_session()
    try:
        client = boto3.session.Session(botocore_session=session, region_name=region or aws_region()).client(
            "dynamodb", config=config
        )
    except (BotoCoreError, ClientError, OSError) as error:
        raise no_client(error) from error
    client.meta.events.register("before-call.dynamodb", Signer(session).check)
    client.meta.events.register("after-call.dynamodb", _check)
    return client


def _check(http_response: Any, **_: Any) -> None:
    """A damaged answer is an empty one to boto3, once its retries are used up: a lock would look free."""
    check_crc32(http_response.headers, http_response.content)


class Store:
    """Calls on the ledger's table, each with its errors translated."""

    def __init__(self, table: str, client: DynamoDBClient) -> None:
        self.table = table
        self._client: Any = client  # wire dictionaries in and out; boto3's stubs would want each typed

    def create(self) -> bool:
        """Make the table if it is missing and wait until it can be used. True: it was made now."""
        try:
            self._client.create_table(
                TableName=self.table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            )
            made = True
        except (ClientError, BotoCoreError, OSError) as error:
            if (
                not isinstance(error, ClientError)
                or error.response["Error"]["Code"] != "ResourceInUseException"
            ):
                raise self._translated(error, "create_table") from error
            made = False
        deadline = time.monotonic() + _MAX_SECONDS_TO_CREATE
        while self.call("describe_table")["Table"]["TableStatus"] != "ACTIVE":
            if time.monotonic() > deadline:
                raise Unavailable("LedgerNotReady", f"table {self.table} is still not ACTIVE")
            time.sleep(0.5)  # seconds; creation takes 5 to 20, so one more call in ten does not matter
        return made

    def check(self) -> None:
        """See whether the table is there and can be written and read.

        Raises `Refused` of kind `LedgerMissing`, naming the command that makes it, or `EnvironmentFault`
        `LedgerNotWritable` where a write or a read is denied or the table is not a ledger.
        """
        probe = {"pk": {"S": "probe"}, "sk": {"S": "probe"}}
        for operation, parameters in (
            ("put_item", {"Item": probe}),
            ("get_item", {"Key": probe, "ConsistentRead": True}),
        ):
            try:
                self.call(operation, **parameters)
            except Unavailable:
                raise
            except EnvironmentFault as fault:
                raise EnvironmentFault("LedgerNotWritable", fault.message) from fault

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call, retried by botocore. Raises `ConditionFailed`, `Refused`, `EnvironmentFault`."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(TableName=self.table, **parameters)
        except (ClientError, BotoCoreError, OSError) as error:
            raise self._translated(error, operation) from error
        return answer

    def _translated(self, error: Exception, operation: str) -> Exception:
        failure = of_call(error)
        if failure.action is Action.SETTLE:
            return ConditionFailed(failure.message)
        if failure.code in ("ResourceNotFoundException", "TableNotFoundException"):
            return Refused(
                f"the ledger, table {self.table}, does not exist here; make it with `reindexer setup`",
                "LedgerMissing",
            )
        what = f"ledger {self.table}, {operation}: {failure.code}: {failure.message}"
        if failure.action in (Action.WAIT, Action.RETRY, Action.LEAVE):
            return Unavailable("LedgerUnavailable", what)
        return EnvironmentFault("LedgerDenied" if failure.action is Action.PARK else "LedgerUnusable", what)

    def get(self, pk: str, sk: str) -> WireItem | None:
        """One item, read consistently."""
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        found: WireItem | None = self.call("get_item", Key=key, ConsistentRead=True).get("Item")
        return found

    def query(
        self,
        pk: str,
        *,
        prefix: str = "",
        after: str | None = None,
        newest_first: bool = False,
        page: int | None = None,
        only: str | None = None,
    ) -> Iterator[WireItem]:
        """Items of one partition in the order of `sk`, read consistently.

        `page`: rows per call; `only`: the one attribute to return.
        """
        condition, values = "pk = :p", {":p": {"S": pk}}
        if prefix:
            condition += " AND begins_with(sk, :s)"
            values[":s"] = {"S": prefix}
        parameters: dict[str, Any] = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if only is not None:
            parameters["ProjectionExpression"] = only
        if page is not None:
            parameters["Limit"] = page
        if after is not None:
            parameters["ExclusiveStartKey"] = {"pk": {"S": pk}, "sk": {"S": after}}
        while True:
            answer = self.call("query", **parameters)
            yield from answer["Items"]
            if not answer.get("LastEvaluatedKey"):
                return
            parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def whole(self, pk: str, prefix: str) -> list[WireItem] | None:
        """A value's items, which say in `parts` how many it was cut into; None: not all of them are there."""
        items = list(self.query(pk, prefix=prefix))
        number = int(items[0]["parts"]["N"]) if items else 1
        return items[:number] if len(items) >= number else None

    def put_if_newer(self, pk: str, sk: str, order: str, item: WireItem) -> None:
        """Put the item unless the stored one's attribute `order` is greater; repeated or late, harmless."""
        try:
            self.call(
                "put_item",
                Item={"pk": {"S": pk}, "sk": {"S": sk}, **item},
                ConditionExpression="attribute_not_exists(#o) OR #o <= :o",
                ExpressionAttributeNames={"#o": order},
                ExpressionAttributeValues={":o": item[order]},
            )
        except ConditionFailed:
            return


def table_partition(table_arn: str, attribute: str) -> str:
    """Where the ledger keeps what concerns an attribute of a table."""
    return f"table#{table_arn}#{attribute}"


def text(item: WireItem, name: str) -> str:
    """A string attribute of an item that this program wrote."""
    return str(item[name]["S"])


def sortable(moment: datetime) -> str:
    """A time as text that sorts as time does: UTC, microseconds always."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
