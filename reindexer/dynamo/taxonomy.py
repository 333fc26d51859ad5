"""What an error of DynamoDB means: was the write applied, and what is to be done. One table, nowhere else.

Sources: the error tables of DynamoDB's developer guide ("Error handling"), the API model's
`BatchStatementError` codes, and what engines were seen to answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import botocore.exceptions as boto
from botocore.parsers import ResponseParserError

from reindexer.answers import Action, Failure, Scope
from reindexer.dynamo.clock import CLOCK_WRONG, refused_for_its_time, wrong_clock
from reindexer.dynamo.credentials import as_signing_failure, is_of_credentials, renewed_by
from reindexer.dynamo.index_keys import INDEX_KEY
from reindexer.errors import MAX_CLASS_BYTES, cut, one_line
from reindexer.items import WireItem

_THROTTLE = (Action.WAIT, False, "throttled")
#: Contention is waited out like a throttle: the transactions of others end, and no record is to blame for them.
_CONFLICT = (Action.WAIT, False, "conflicts")
_SERVER = (Action.RETRY, None, "server_errors")
_NEVER = (Action.GIVE_UP, False, None)
_PARK = (Action.PARK, False, None)
#: A refusal by a code that is not in the table: of a newer DynamoDB, or of a proxy in between.
_UNKNOWN_CODE = (Action.RETRY, False, "server_errors")

#: Error code → (action, applied, counter). Codes of whole calls, and of statements inside a 200.
CODES: Mapping[str, tuple[Action, bool | None, str | None]] = {
    "ConditionalCheckFailedException": (Action.SETTLE, False, None),
    "ConditionalCheckFailed": (Action.SETTLE, False, None),
    "ProvisionedThroughputExceededException": _THROTTLE,
    "ProvisionedThroughputExceeded": _THROTTLE,
    "ThrottlingException": _THROTTLE,
    "ThrottlingError": _THROTTLE,
    "RequestLimitExceeded": _THROTTLE,
    "LimitExceededException": _THROTTLE,
    "TransactionConflictException": _CONFLICT,
    "TransactionConflict": _CONFLICT,
    "ReplicatedWriteConflictException": _CONFLICT,
    "TransactionInProgressException": _CONFLICT,
    # Two statements of one call named one item, or the call names it twice: alone it goes through.
    "DuplicateItem": (Action.SPLIT, False, None),
    "InternalServerError": _SERVER,
    "InternalFailure": _SERVER,
    "ServiceUnavailable": _SERVER,
    "ServiceUnavailableException": _SERVER,
    # Alone it is the record's own; as an answer to a whole batch it is split first, see `of_call`.
    "ValidationException": _NEVER,
    "ValidationError": _NEVER,
    INDEX_KEY: _NEVER,
    "SerializationException": _NEVER,
    "ItemCollectionSizeLimitExceededException": _NEVER,
    "ItemCollectionSizeLimitExceeded": _NEVER,
    "RequestEntityTooLarge": _NEVER,  # 413
    # The engine does not know the call: no record is to blame.
    "UnknownOperationException": _PARK,
    "UnknownOperation": _PARK,
    "NotImplemented": _PARK,
    "ResourceNotFoundException": _PARK,
    "ResourceNotFound": _PARK,
    "ResourceInUseException": _PARK,
    "TableNotFoundException": _PARK,
    "AccessDeniedException": _PARK,
    "AccessDenied": _PARK,
    "UnrecognizedClientException": _PARK,
    "MissingAuthenticationTokenException": _PARK,
    "MissingAuthenticationToken": _PARK,
    "IncompleteSignatureException": _PARK,
    "InvalidSignatureException": _PARK,
    "SignatureDoesNotMatch": _PARK,
    "ExpiredTokenException": _PARK,
    "ExpiredToken": _PARK,
    "InvalidClientTokenId": _PARK,
    "KMSAccessDeniedException": _PARK,
    "KMSDisabledException": _PARK,
    "KMSInvalidStateException": _PARK,
    "KMSNotFoundException": _PARK,
}

#: How DynamoDB words it that the value of an index's key is of another type, too long or empty. The table's own
#: keys were read from it; the last one is DynamoDB Local's.
_INDEX_REFUSES = re.compile(
    r"index ?key|IndexName:|size of hash ?key|size of all range ?keys|were invalid: Size limit exceeded$",
    re.IGNORECASE,
)
#: Nothing was sent, so nothing was applied.
_NOT_SENT = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
)
#: An unknown error code is judged by its status: what refuses the caller is not the fault of a record.
_BY_STATUS: Mapping[int, tuple[Action, bool | None, str | None]] = {
    401: _PARK,
    403: _PARK,
    404: _PARK,
    408: (Action.RETRY, None, "timeouts"),
    429: _THROTTLE,
}
#: The caller is known, and may not do this.
_DENIED = frozenset(("AccessDeniedException", "AccessDenied"))
#: DynamoDB's words for credentials that have run out or were withdrawn.
_EXPIRED = frozenset(
    ("ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId")
)


def of_statement(error: Mapping[str, Any]) -> Failure:
    """The meaning of one statement's `Error` inside a 200 of BatchExecuteStatement."""
    code, message = _names(error)
    return _failure(code, message, CODES.get(code, _SERVER), error.get("Item") or None, known=code in CODES)


def of_call(error: Exception, statements: int = 1) -> Failure:
    """The meaning of a whole call's exception.

    `statements`: how many records the call carried. With more than one, what would be a record's own
    fault is SPLIT: none of them is blamed before it was tried alone.
    """
    if is_of_credentials(error):
        failed = as_signing_failure(error)
        # Not sent: no record is to blame, and nothing is unknown by it.
        action = Action.RETRY if failed.passing else Action.PARK
        if failed.code == CLOCK_WRONG:
            action = Action.LEAVE
        return Failure(cut(failed.code, MAX_CLASS_BYTES), failed.sentence, action, False, reached=False)
    if isinstance(error, boto.ClientError):
        return _of_client_error(error, statements)
    message = one_line(error)
    if isinstance(error, _NOT_SENT):
        return Failure(type(error).__name__, message, Action.RETRY, False, "timeouts", reached=False)
    if isinstance(error, boto.SSLError):
        # Mostly the handshake, yet an error while the answer was read looks the same: nothing tells them apart.
        return Failure(type(error).__name__, message, Action.RETRY, None, "timeouts", reached=False)
    if isinstance(error, boto.ParamValidationError):
        return Failure("ParamValidation", message, Action.SPLIT if statements > 1 else Action.GIVE_UP)
    if isinstance(error, ResponseParserError):
        # A truncated or corrupted answer: the write behind it has probably been applied.
        return Failure("ResponseParserError", message, Action.RETRY, None, "server_errors")
    if isinstance(error, boto.HTTPClientError | boto.BotoCoreError | OSError):
        # Read time-out, reset, end of file after sending, checksum mismatch.
        return Failure(type(error).__name__, message, Action.RETRY, None, "timeouts")
    raise error


def _of_client_error(error: boto.ClientError, statements: int) -> Failure:
    response: Mapping[str, Any] = error.response
    code, message = _names(response.get("Error", {}))
    message = message or one_line(error)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    if status == 413:  # too large as a whole; engines and proxies name it differently
        code = "RequestEntityTooLarge"
    if clock := wrong_clock(error):
        return Failure(CLOCK_WRONG, f"{clock} ({code})", Action.LEAVE, reached=False)
    if refused_for_its_time(error):  # by a clock that is right: the process was frozen before it sent it
        return Failure(code, message, Action.RETRY, reached=False, known=False)
    means = CODES.get(code) or _BY_STATUS.get(status)
    known = means is not None or not 400 <= status < 500  # HTTP's own classes: 4xx is refused, 5xx is not
    action, applied, counter = means or (_SERVER if known else _UNKNOWN_CODE)
    if action is Action.GIVE_UP and statements > 1:
        action = Action.SPLIT
    if code in _EXPIRED and (renewal := renewed_by()):
        message = cut(f"{message.rstrip('. ')}: {renewal}")
    scope = _scope(response) if action is Action.WAIT else None
    return _failure(code, message, (action, applied, counter), response.get("Item"), known=known, scope=scope)


def _failure(
    code: str,
    message: str,
    means: tuple[Action, bool | None, str | None],
    item: WireItem | None,
    *,
    known: bool,
    scope: Scope | None = None,
) -> Failure:
    action, applied, counter = means
    return Failure(code, message, action, applied, counter, scope, item, known=known, denied=code in _DENIED)


def _names(error: Mapping[str, Any]) -> tuple[str, str]:
    """(code, message) of an answer; some messages repeat the request, which may take kilobytes."""
    code, message = str(error.get("Code", "Unknown")), str(error.get("Message", ""))
    if code in ("ValidationException", "ValidationError") and _INDEX_REFUSES.search(message):
        code = INDEX_KEY
    return cut(code, MAX_CLASS_BYTES), cut(message)


def _scope(response: Mapping[str, Any]) -> Scope | None:
    """How far a throttle reaches, from `ThrottlingReasons`; None where the answer does not say."""
    # The model spells it with a small letter on ThrottlingException, with a capital elsewhere.
    holders = (response, response.get("Error", {}))
    spellings = ("ThrottlingReasons", "throttlingReasons")
    reasons: list[dict[str, Any]] = next((h[s] for h in holders for s in spellings if h.get(s)), [])
    names = [str(entry.get("reason", "")) for entry in reasons]
    if any(name.startswith("Index") for name in names):
        return Scope.INDEX
    if any(name.endswith("AccountLimitExceeded") for name in names):
        return Scope.ACCOUNT
    if any(name.endswith("KeyRangeThroughputExceeded") for name in names):
        return Scope.KEY_RANGE
    return Scope.TABLE if names else None
