"""Requests of the tests that look at the fault proxy itself, and how their failures look to boto3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from testbed.faults import Fault, FaultKind, FaultPlan, FaultProxy
from tests.tables import Table

K = FaultKind
RUN = "run-1"


def inject(proxy: FaultProxy, *faults: Fault, seed: int = 1) -> None:
    proxy.set_plan(FaultPlan(seed=seed, faults=faults))


def key(number: int) -> dict[str, Any]:
    return {"id": {"S": f"row-{number:06}"}}


def touches(table: Table, *numbers: int, version: int = 7) -> dict[str, Any]:
    text = f'UPDATE "{table.name}" SET "reindexVersion"=?, "reindexRun"=? WHERE "id"=?'
    values = {"N": str(version)}
    statements = [
        {
            "Statement": f'{text} AND NOT "reindexVersion" >= ?',
            "Parameters": [values, {"S": RUN}, key(number)["id"], values],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        for number in numbers
    ]
    return {"Statements": statements}


def update(table: Table, number: int, version: int = 7) -> dict[str, Any]:
    return {
        "TableName": table.name,
        "Key": key(number),
        "UpdateExpression": "SET #v = :v, #r = :r",
        "ConditionExpression": "attribute_exists(id) AND NOT #v >= :v",
        "ExpressionAttributeNames": {"#v": "reindexVersion", "#r": "reindexRun"},
        "ExpressionAttributeValues": {":v": {"N": str(version)}, ":r": {"S": RUN}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def codes(answer: dict[str, Any]) -> list[str]:
    return [response.get("Error", {}).get("Code", "ok") for response in answer["Responses"]]


def changed(table: Table) -> set[int]:
    """Numbers of the rows that the engine really changed."""
    return {int(item["id"]["S"][4:]) for item in table.items() if "reindexVersion" in item}


SILENT = {"cut": ConnectionClosedError, "timeout": ReadTimeoutError}
CALL_ERRORS = {
    K.SERVER_ERROR: ("InternalServerError", 500),
    K.UNAVAILABLE: ("ServiceUnavailable", 503),
    K.THROTTLE: ("ProvisionedThroughputExceededException", 400),
    K.REFUSED: ("ValidationException", 400),
    K.ACCESS_DENIED: ("AccessDeniedException", 400),
    K.EXPIRED_TOKEN: ("ExpiredTokenException", 400),
    K.TABLE_GONE: ("ResourceNotFoundException", 400),
    K.TOO_LARGE: ("413", 413),
    K.SERVER_ERROR_APPLIED: ("InternalServerError", 500),
    K.UNAVAILABLE_APPLIED: ("ServiceUnavailable", 503),
    K.SERVER_ERROR_LATE: ("InternalServerError", 500),
}


def assert_fails(kind: FaultKind, call: Callable[[], Any]) -> None:
    """The call fails just as the kind says."""
    if kind in CALL_ERRORS:
        with pytest.raises(ClientError) as caught:
            call()
        response = caught.value.response
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        assert (response["Error"]["Code"], status) == CALL_ERRORS[kind]
        assert kind is K.TOO_LARGE or (
            response["Error"]["Message"] and response["ResponseMetadata"]["RequestId"]
        )
    else:
        with pytest.raises(SILENT[kind.partition("_")[0]]):
            call()
