"""Answers as DynamoDB gives them: errors with their exact type, status and fields."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from testbed.faults.plan import Fault, FaultKind

_MODELLED = "com.amazonaws.dynamodb.v20120810#"  # errors of DynamoDB's API model
_CORAL = "com.amazon.coral.service#"  # errors of the frame that all AWS services stand in

#: Error code → (status, prefix of its type, name of its message field, message), as AWS sends them.
_ERRORS: Mapping[str, tuple[int, str, str, str]] = {
    "InternalServerError": (500, _MODELLED, "message", "Internal server error"),
    "ServiceUnavailable": (503, _MODELLED, "message", "Service is unavailable, please try again later"),
    "ProvisionedThroughputExceededException": (
        *(400, _MODELLED, "message"),
        "The level of configured provisioned throughput for the table was exceeded. "
        "Consider increasing your provisioning level with the UpdateTable API.",
    ),
    "ThrottlingException": (
        *(400, "com.amazon.coral.availability#", "message"),
        "Throughput exceeds the current capacity of your table or index.",
    ),
    "RequestLimitExceeded": (
        *(400, _MODELLED, "message"),
        "Throughput exceeds the current throughput limit for your account.",
    ),
    "AccessDeniedException": (
        *(400, _CORAL, "Message"),
        "User: arn:aws:iam::000000000000:user/reindexer is not authorized to perform: "
        "dynamodb:{action} on resource: {arn} because no identity-based policy allows the "
        "dynamodb:{action} action",
    ),
    "ExpiredTokenException": (
        *(400, _CORAL, "message"),
        "The security token included in the request is expired",
    ),
    "UnrecognizedClientException": (
        *(400, _CORAL, "message"),
        "The security token included in the request is invalid.",
    ),
    "ValidationException": (
        *(400, "com.amazon.coral.validate#", "message"),
        "One or more parameter values were invalid",
    ),
    "ResourceNotFoundException": (400, _MODELLED, "message", "Requested resource not found"),
    "TransactionConflictException": (
        *(400, _MODELLED, "message"),
        "Transaction is ongoing for the item",
    ),
    "ReplicatedWriteConflictException": (400, _MODELLED, "message", "Write conflict between replicas"),
    "ItemCollectionSizeLimitExceededException": (400, _MODELLED, "message", "Collection size exceeded."),
    "ExpiredIteratorException": (400, _MODELLED, "message", "Iterator expired."),
    "TrimmedDataAccessException": (
        *(400, _MODELLED, "message"),
        "Attempted access to trimmed records in stream shard",
    ),
    "LimitExceededException": (400, _MODELLED, "message", "Too many operations for a given subscriber"),
}
#: What a statement's error says inside a 200 of BatchExecuteStatement.
_STATEMENT_MESSAGES: Mapping[str, str] = {
    "InternalServerError": "Internal server error",
    "ProvisionedThroughputExceeded": _ERRORS["ProvisionedThroughputExceededException"][3],
    "ThrottlingError": _ERRORS["ThrottlingException"][3],
    "RequestLimitExceeded": _ERRORS["RequestLimitExceeded"][3],
    "TransactionConflict": "Transaction is ongoing for the item",
    "DuplicateItem": "Duplicate primary key exists in table",
    "ItemCollectionSizeLimitExceeded": "Collection size exceeded.",
    "ValidationError": "One or more parameter values were invalid",
    "AccessDenied": "User is not authorized to perform: dynamodb:PartiQLUpdate",
    "ResourceNotFound": "Requested resource not found",
}
#: Whole-call kinds that are one error each; the others have a `code` or no answer at all.
_CODE_OF: Mapping[FaultKind, str] = {
    FaultKind.SERVER_ERROR: "InternalServerError",
    FaultKind.SERVER_ERROR_APPLIED: "InternalServerError",
    FaultKind.SERVER_ERROR_LATE: "InternalServerError",
    FaultKind.UNAVAILABLE: "ServiceUnavailable",
    FaultKind.UNAVAILABLE_APPLIED: "ServiceUnavailable",
    FaultKind.ACCESS_DENIED: "AccessDeniedException",
    FaultKind.PARTIQL_DENIED: "AccessDeniedException",
    FaultKind.EXPIRED_TOKEN: "ExpiredTokenException",
    FaultKind.TABLE_GONE: "ResourceNotFoundException",
}
_THROTTLE_REASON = {
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "MaxOnDemandThroughputExceeded",
    "RequestLimitExceeded": "AccountLimitExceeded",
}


class Answer(NamedTuple):
    """Status, headers and body, as the engine gave them or as DynamoDB would."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def json_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """A body under DynamoDB's content type and its own checksum; other `headers` stay."""
    ours = {"content-type": "application/x-amz-json-1.0", "x-amz-crc32": str(zlib.crc32(body))}
    kept = {name: text for name, text in (headers or {}).items() if name.lower() not in ours}
    return Answer(status, {**kept, **ours}, body)


def error_answer(code: str, action: str = "", arn: str = "", fields: Mapping[str, Any] | None = None) -> Answer:
    """A whole call's error. `action` and `arn` fill in what an access error names; `fields` go beside it."""
    status, prefix, name, message = _ERRORS[code]
    text = message.format(action=action, arn=arn)
    body = orjson.dumps({"__type": prefix + code, name: text, **(fields or {})})
    return json_answer(status, body, {"x-amzn-requestid": uuid.uuid4().hex.upper()})


def failed_call(fault: Fault, operation: str, writes: bool, arn: str) -> Answer:
    """What a whole-call fault answers. Not for the kinds that give no answer, or the engine's own."""
    if fault.kind is FaultKind.TOO_LARGE:
        return Answer(413, {"content-type": "text/plain"}, b"")  # comes from in front of DynamoDB: no JSON
    if fault.kind is not FaultKind.THROTTLE:
        return error_answer(_CODE_OF.get(fault.kind) or fault.error_code, _action(operation), arn)
    narrow = fault.keys is not None or fault.hot is not None
    kind = "KeyRangeThroughputExceeded" if narrow else _THROTTLE_REASON[fault.error_code]
    reason = fault.reason or f"Table{'Write' if writes else 'Read'}{kind}"
    # The API model spells the field with a small letter in this one error.
    name = "throttlingReasons" if fault.error_code == "ThrottlingException" else "ThrottlingReasons"
    return error_answer(fault.error_code, fields={name: [{"reason": reason, "resource": arn}]})


def _action(operation: str) -> str:
    """The permission that an access error names."""
    partiql = operation in ("BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction")
    return "PartiQLUpdate" if partiql else operation


def failed_statement(code: str, table: str) -> dict[str, Any]:
    """One entry of `Responses` of BatchExecuteStatement."""
    return {"Error": {"Code": code, "Message": _STATEMENT_MESSAGES[code]}, "TableName": table}


def without_items(answer: Answer) -> Answer | None:
    """The answer with the stored item taken out of each failed condition; None if there was none in it."""
    if b'"Item"' not in answer.body or b"ConditionalCheckFailed" not in answer.body:
        return None
    body = orjson.loads(answer.body)
    places = [body, *body.get("CancellationReasons", ()), *_errors(body)]
    found = [place for place in places if place.pop("Item", None) is not None]
    return json_answer(answer.status, orjson.dumps(body), answer.headers) if found else None


def _errors(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [response["Error"] for response in body.get("Responses", ()) if response.get("Error")]
