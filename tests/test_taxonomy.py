"""What each answer of DynamoDB means: was the write applied, and what is to be done."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.parsers import ResponseParserError

from reindexer.answers import Action, Scope
from reindexer.dynamo.taxonomy import CODES, of_call, of_statement


def client_error(code: str, status: int = 400, **more: Any) -> boto.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": f"about {code}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return boto.ClientError(response, "UpdateItem")


THROTTLES = [
    "ProvisionedThroughputExceededException",
    "ProvisionedThroughputExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "RequestLimitExceeded",
]
CONFLICTS = [
    "TransactionConflictException",
    "TransactionConflict",
    "ReplicatedWriteConflictException",
    "TransactionInProgressException",
]
OWN_FAULTS = [
    "ValidationException",
    "ValidationError",
    "SerializationException",
    "ItemCollectionSizeLimitExceededException",
    "ItemCollectionSizeLimitExceeded",
]
ENVIRONMENT = [
    "ResourceNotFoundException",
    "ResourceNotFound",
    "AccessDeniedException",
    "AccessDenied",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidSignatureException",
    "KMSAccessDeniedException",
]


INVALID = "One or more parameter values were invalid: "
EMPTY = "The AttributeValue for a key attribute cannot contain an empty string value."
#: As AWS words it, and the last two as DynamoDB Local.
INDEX_REFUSALS = [
    f"{INVALID}Type mismatch for Index Key year Expected: N Actual: S IndexName: by-year",
    "One or more parameter values are not valid. The update expression attempted to update a secondary index "
    f"key to a value that is not supported. {EMPTY}",
    "The update expression attempted to update the secondary index key to unsupported type",
    "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
    f"{EMPTY} IndexName: by-g, IndexKey: g",
    f"{INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes",
    f"{INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
    f"{INVALID}Type mismatch for Index Key",
    f"{INVALID}Size limit exceeded",
]


@pytest.mark.parametrize("message", INDEX_REFUSALS)
def test_what_an_index_refuses_is_a_class_of_its_own_and_the_records_own(message: str) -> None:
    statement = of_statement({"Code": "ValidationError", "Message": message})
    call: Any = {"Error": {"Code": "ValidationException", "Message": message}}
    alone, batch = (of_call(boto.ClientError(call, "UpdateItem"), number) for number in (1, 25))
    for failure in (statement, alone):
        assert (failure.code, failure.action, failure.applied) == ("IndexKey", Action.GIVE_UP, False)
        assert failure.message == message
    assert (batch.code, batch.action) == ("IndexKey", Action.SPLIT)


@pytest.mark.parametrize(
    "message",
    [
        "Item size to update has exceeded the maximum allowed size",
        "The provided key element does not match the schema",
        f"{INVALID}Cannot update attribute id. This attribute is part of the key",
        "ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty",
        "",
    ],
)
def test_any_other_invalid_value_is_not_laid_to_an_index(message: str) -> None:
    assert of_statement({"Code": "ValidationError", "Message": message}).code == "ValidationError"


@pytest.mark.parametrize("code", THROTTLES)
def test_a_throttle_was_not_applied_and_is_waited_out(code: str) -> None:
    for failure in (of_statement({"Code": code}), of_call(client_error(code)), of_call(client_error(code), 25)):
        assert (failure.action, failure.applied, failure.counter) == (Action.WAIT, False, "throttled")


@pytest.mark.parametrize("code", CONFLICTS)
def test_contention_was_not_applied_and_is_waited_out_like_a_throttle(code: str) -> None:
    for failure in (of_statement({"Code": code}), of_call(client_error(code))):
        assert (failure.action, failure.applied, failure.counter) == (Action.WAIT, False, "conflicts")


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "ConditionalCheckFailedException"])
def test_a_failed_condition_is_settled_by_the_stored_item_that_comes_with_it(code: str) -> None:
    item = {"id": {"S": "a"}}
    for failure in (of_statement({"Code": code, "Item": item}), of_call(client_error(code, Item=item))):
        assert (failure.action, failure.applied, failure.item) == (Action.SETTLE, False, item)
    assert of_statement({"Code": code}).item is None


@pytest.mark.parametrize(
    ("code", "status"),
    [("InternalServerError", 500), ("502", 502), ("ServiceUnavailable", 503), ("504", 504), ("Whatever", 500)],
)
def test_a_server_error_leaves_the_write_unknown(code: str, status: int) -> None:
    failure = of_call(client_error(code, status), 25)
    assert (failure.action, failure.applied, failure.counter) == (Action.RETRY, None, "server_errors")


@pytest.mark.parametrize("code", ["InternalServerError", "SomethingNew"])
def test_a_statement_error_that_is_no_refusal_leaves_the_write_unknown(code: str) -> None:
    failure = of_statement({"Code": code})
    assert (failure.action, failure.applied) == (Action.RETRY, None)


@pytest.mark.parametrize(
    "error",
    [
        boto.ReadTimeoutError(endpoint_url="x"),
        boto.ConnectionClosedError(endpoint_url="x"),
        boto.HTTPClientError(error="reset"),
        boto.ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ConnectionResetError("reset by peer"),
        ResponseParserError("half an answer"),
        # A TLS error may also come while the answer is read; nothing in it tells the two apart.
        boto.SSLError(endpoint_url="x", error=OSError("bad record mac")),
    ],
)
def test_an_answer_that_never_came_leaves_the_write_unknown(error: Exception) -> None:
    failure = of_call(error, 25)
    assert (failure.action, failure.applied) == (Action.RETRY, None)


@pytest.mark.parametrize(
    "error",
    [
        boto.EndpointConnectionError(endpoint_url="x"),
        boto.ConnectTimeoutError(endpoint_url="x"),
        boto.ProxyConnectionError(proxy_url="x"),
    ],
)
def test_a_request_that_was_never_sent_was_not_applied_and_is_no_records_fault(error: Exception) -> None:
    failure = of_call(error, 25)
    assert (failure.action, failure.applied, failure.reached) == (Action.RETRY, False, False)


@pytest.mark.parametrize("code", OWN_FAULTS)
def test_a_records_own_fault_gives_it_up_alone_and_splits_a_batch(code: str) -> None:
    assert of_statement({"Code": code}).action is Action.GIVE_UP
    assert of_call(client_error(code), 1).action is Action.GIVE_UP
    assert of_call(client_error(code), 25).action is Action.SPLIT
    assert of_call(client_error(code), 25).applied is False


@pytest.mark.parametrize("code", ["413", "RequestEntityTooLarge", "Whatever"])
def test_413_splits_a_batch_under_whatever_name(code: str) -> None:
    assert of_call(client_error(code, 413), 25).action is Action.SPLIT
    assert of_call(client_error(code, 413), 1).action is Action.GIVE_UP


def test_a_key_named_twice_in_one_call_is_split_even_as_a_statements_answer() -> None:
    assert of_statement({"Code": "DuplicateItem"}).action is Action.SPLIT


@pytest.mark.parametrize("code", ENVIRONMENT)
def test_a_broken_environment_parks_the_job(code: str) -> None:
    for failure in (of_statement({"Code": code}), of_call(client_error(code), 25)):
        assert (failure.action, failure.applied) == (Action.PARK, False)


@pytest.mark.parametrize(
    "error",
    [
        boto.NoCredentialsError(),
        boto.NoRegionError(),
        boto.CredentialRetrievalError(provider="x", error_msg="y"),
    ],
)
def test_missing_credentials_park_the_job(error: Exception) -> None:
    assert of_call(error, 25).action is Action.PARK


@pytest.mark.parametrize(("status", "action"), [(401, Action.PARK), (403, Action.PARK), (429, Action.WAIT)])
def test_an_unknown_refusal_is_judged_by_its_status(status: int, action: Action) -> None:
    failure = of_call(client_error("NeverHeardOf", status), 25)
    assert (failure.action, failure.applied) == (action, False)


@pytest.mark.parametrize("statements", [1, 25])
@pytest.mark.parametrize("status", [400, 402, 409, 410, 418, 422])
def test_an_unknown_bad_request_is_tried_again_and_is_no_records_fault(status: int, statements: int) -> None:
    failure = of_call(client_error("NeverHeardOf", status), statements)
    assert (failure.action, failure.applied, failure.known) == (Action.RETRY, False, False)


def test_an_unknown_answer_to_a_statement_is_tried_again_and_is_no_records_fault() -> None:
    failure = of_statement({"Code": "NeverHeardOf"})
    assert (failure.action, failure.applied, failure.known) == (Action.RETRY, None, False)


def test_an_unknown_request_timeout_leaves_the_write_unknown() -> None:
    assert of_call(client_error("NeverHeardOf", 408), 25).applied is None


@pytest.mark.parametrize("code", ["UnknownOperationException", "NotImplemented"])
def test_an_engine_without_the_call_parks_the_job_and_blames_no_record(code: str) -> None:
    assert of_call(client_error(code, 400), 25).action is Action.PARK


@pytest.mark.parametrize("spelling", ["ThrottlingReasons", "throttlingReasons"])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    ("reasons", "scope"),
    [
        (["TableWriteKeyRangeThroughputExceeded"], Scope.KEY_RANGE),
        (["TableWriteProvisionedThroughputExceeded"], Scope.TABLE),
        (["TableReadMaxOnDemandThroughputExceeded"], Scope.TABLE),
        (["TableWriteAccountLimitExceeded"], Scope.ACCOUNT),
        (["IndexWriteProvisionedThroughputExceeded"], Scope.INDEX),
        (["TableWriteKeyRangeThroughputExceeded", "IndexWriteKeyRangeThroughputExceeded"], Scope.INDEX),
    ],
)
def test_throttling_reasons_tell_how_far_a_throttle_reaches(
    spelling: str, inside: bool, reasons: list[str], scope: Scope
) -> None:
    said: dict[str, Any] = {spelling: [{"reason": reason, "resource": "arn"} for reason in reasons]}
    error = client_error("ThrottlingException", **({} if inside else said))
    if inside:
        error.response["Error"].update(said)  # type: ignore[typeddict-item]
    assert of_call(error, 25).scope is scope


def test_a_throttle_without_reasons_has_no_scope() -> None:
    assert of_call(client_error("ThrottlingException")).scope is None


def test_what_is_no_answer_of_a_service_surfaces_as_the_defect_it_is() -> None:
    with pytest.raises(KeyError):
        of_call(KeyError("ours"))


def test_no_code_claims_that_a_failed_write_was_applied() -> None:
    assert all(applied in (False, None) for _, applied, _ in CODES.values())
