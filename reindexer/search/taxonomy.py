"""What an error of OpenSearch means: was the document written, and what is to be done. One table.

Sources: OpenSearch's exception classes (the `type` of an error) and what versions 2.19 and 3.8 were seen to
answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opensearchpy.exceptions import ConnectionError as NotConnected
from opensearchpy.exceptions import ConnectionTimeout, SerializationError, SSLError, TransportError
from urllib3.exceptions import NewConnectionError, ProxyError

from reindexer.answers import Action, Failure
from reindexer.errors import MAX_CLASS_BYTES, cut, one_line

#: As people know it, in reasons and messages.
SERVICE = "OpenSearch"

Means = tuple[Action, bool | None, str | None]

_WAIT: Means = (Action.WAIT, False, "throttled")
_SERVER: Means = (Action.RETRY, None, "server_errors")
_PARK: Means = (Action.PARK, False, None)
_NEVER: Means = (Action.GIVE_UP, False, None)
#: By status, where the type does not say more. Of a single document or of a whole request.
_BY_STATUS: Mapping[int, Means] = {
    400: _NEVER,
    401: _PARK,
    403: _PARK,
    404: _PARK,  # the index or its write alias is gone
    408: (Action.RETRY, None, "timeouts"),
    409: (Action.SETTLE, False, None),
    413: (Action.SPLIT, False, None),
    429: _WAIT,
}
#: A block of the index; with 503 it is the cluster's own, while it starts.
_BLOCKED = "cluster_block_exception"
#: What the parser of JSON says of its own settings at the end of a reason.
_SOURCE = re.compile(r" at \[Source: REDACTED[^\]]*\]")
#: The order that is stored, as it appears in the reason of a version conflict.
_CURRENT = re.compile(r"current version \[(\d+)\]")


def of_item(result: Mapping[str, Any]) -> Failure | None:
    """The meaning of one document's answer within a bulk request; None: it is written."""
    status = int(result.get("status", 0))
    if 200 <= status < 300:
        return None
    error = result.get("error") or {}
    return _failure(status, error)


def of_call(error: Exception, documents: int = 1) -> Failure:
    """The meaning of a whole request's exception. With more than one document, none of them is blamed."""
    return replace(_of_call(error, documents), service=SERVICE)


def _of_call(error: Exception, documents: int) -> Failure:
    if isinstance(error, SSLError):
        return Failure("SSLError", one_line(error), Action.PARK, False, reached=False)
    if isinstance(error, ConnectionTimeout):
        return Failure("ConnectionTimeout", "no answer in time", Action.RETRY, None, "timeouts")
    if isinstance(error, NotConnected):
        sent = not isinstance(error.info, NewConnectionError | ProxyError)
        return Failure(
            "ConnectionError",
            _unreached(error),
            Action.RETRY,
            None if sent else False,
            "timeouts",
            reached=sent,
        )
    if isinstance(error, SerializationError):  # an answer that is cut off; what is behind it has been written
        return Failure("SerializationError", one_line(error), Action.RETRY, None, "server_errors")
    if isinstance(error, TransportError):
        failure = _failure(int(error.status_code), _error_of(error))
        if failure.action is Action.GIVE_UP and documents > 1:
            return Failure(failure.code, failure.message, Action.SPLIT)
        return failure
    raise error


def stored_order(failure: Failure) -> int | None:
    """The order that a refused document found in its place, where the reason says it."""
    found = _CURRENT.search(failure.message)
    return int(found[1]) if found else None


def _failure(status: int, error: Mapping[str, Any]) -> Failure:
    code, reason = str(error.get("type") or f"HTTP {status}"), str(error.get("reason") or "")
    cause = error.get("caused_by") or {}
    if isinstance(cause, Mapping) and cause.get("reason") and str(cause["reason"]) not in reason:
        reason = f"{reason}: {cause['reason']}"
    reason = _SOURCE.sub("", " ".join(reason.split()))
    action, applied, counter = _BY_STATUS.get(status, _SERVER if status >= 500 or not status else _NEVER)
    if code == _BLOCKED and status != 503:  # read-only or closed: waiting does not lift it
        action, applied, counter = _PARK
    known = status in _BY_STATUS or status >= 500
    return Failure(
        cut(code, MAX_CLASS_BYTES),
        cut(reason),
        action,
        applied,
        counter,
        known=known,
        denied=status in (401, 403),
        service=SERVICE,
    )


def _unreached(error: NotConnected) -> str:
    """Why no answer came, without the address twice."""
    return one_line(error.info if isinstance(error.info, Exception) else error).rsplit("): ", 1)[-1]


def _error_of(error: TransportError) -> Mapping[str, Any]:
    """The error object of a whole request's answer; of a proxy's there may be none."""
    info = error.info
    if isinstance(info, str):
        try:
            info = json.loads(info)
        except ValueError:
            return {"reason": cut(info)}
    found = info.get("error") if isinstance(info, Mapping) else None
    if isinstance(found, Mapping):
        return found
    return {"reason": str(found or one_line(error))}
