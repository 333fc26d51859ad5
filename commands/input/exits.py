"""Exit codes, and the sentence that says what went wrong."""

from __future__ import annotations

from enum import IntEnum

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError
from pydantic import ValidationError
from temporalio.service import RPCError, RPCStatusCode

from reindexer.dynamo.credentials import as_signing_failure, is_of_credentials
from reindexer.errors import EnvironmentFault, ReindexerError, one_line
from reindexer.explain import explain
from reindexer.models import Compared, Difference, Report
from reindexer.operations.compare import COMPARE


class Exit(IntEnum):
    """What a command ends with."""

    COMPLETE = 0
    INCOMPLETE = 1  # or failed
    BAD_INPUT = 2  # or refused: nothing was read or changed
    NOT_FINISHED = 3  # or parked, or no answer


class Stopped(ReindexerError):
    """A command ends with this code; its text says why. Empty: all has been said."""

    def __init__(self, code: Exit, message: str = "") -> None:
        super().__init__(message)
        self.code = code


#: Codes of faults that mean "does not answer", as opposed to "refuses".
_UNREACHABLE = frozenset(
    ("TemporalUnavailable", "EndpointConnectionError", "ConnectTimeoutError", "ConnectionClosedError")
)
#: Answers of the Temporal server and what they mean here; any other is a failure.
_RPC = {
    RPCStatusCode.NOT_FOUND: Exit.BAD_INPUT,
    RPCStatusCode.INVALID_ARGUMENT: Exit.BAD_INPUT,
    RPCStatusCode.ALREADY_EXISTS: Exit.BAD_INPUT,
    RPCStatusCode.PERMISSION_DENIED: Exit.BAD_INPUT,
    RPCStatusCode.UNAUTHENTICATED: Exit.BAD_INPUT,
    RPCStatusCode.UNAVAILABLE: Exit.NOT_FINISHED,
    RPCStatusCode.DEADLINE_EXCEEDED: Exit.NOT_FINISHED,
    RPCStatusCode.CANCELLED: Exit.NOT_FINISHED,  # what core calls its own time-out
}

#: Errors of users or of the environment, which get a sentence. All others are defects of
#: this program and keep their traceback.
EXPECTED = (ReindexerError, RPCError, BotoCoreError, ClientError, ValidationError, OSError)


def meaning(error: BaseException) -> tuple[Exit, str]:
    """Exit code and sentence of one of `EXPECTED`."""
    if isinstance(error, Stopped):
        return error.code, str(error)
    if isinstance(error, EnvironmentFault):
        unreachable = error.retryable or error.code in _UNREACHABLE
        # Our own codes say nothing that the sentence does not; AWS's are what people search for.
        ours = error.code.startswith(("Ledger", "Temporal"))
        return Exit.NOT_FINISHED if unreachable else Exit.BAD_INPUT, error.message if ours else str(error)
    if isinstance(error, ReindexerError):
        return Exit.BAD_INPUT, str(error)
    if isinstance(error, ValidationError):
        return Exit.BAD_INPUT, _of_settings(error) if error.title == "Settings" else explain(error)
    if isinstance(error, RPCError):
        code = _RPC.get(error.status, Exit.INCOMPLETE)
        return code, f"Temporal answered {error.status.name.lower()}: {one_line(error)}"
    if is_of_credentials(error):
        failed = as_signing_failure(error)
        code = Exit.NOT_FINISHED if failed.passing else Exit.BAD_INPUT
        return code, f"AWS credentials: {failed.sentence}"
    if isinstance(error, EndpointConnectionError | HTTPClientError):
        return Exit.NOT_FINISHED, f"DynamoDB does not answer: {one_line(error)}"
    if isinstance(error, BotoCoreError | ClientError):
        return Exit.BAD_INPUT, f"AWS: {one_line(error)}"
    return Exit.BAD_INPUT, one_line(error)


def _of_settings(error: ValidationError) -> str:
    """A bad setting by the name of its variable."""
    sentence = explain(error)
    for problem in error.errors(include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        sentence = sentence.replace(f"{field}:", f"REINDEXER_{field.upper()}:", 1)
    return sentence


def exit_code(report: Report) -> Exit:
    """0 only for a complete job; 3 for the interim report of one that has not ended.

    Of a comparison: 0 equal, 1 different, 3 no verdict, since it did not end or a row did not hold still.
    """
    compares = report.operation.get("kind") == COMPARE.kind
    if report.comparison is not None and report.state != "running" and compares:
        return _of_comparison(report, report.comparison)
    if report.state == "running":
        return Exit.NOT_FINISHED
    return Exit.COMPLETE if report.state == "complete" else Exit.INCOMPLETE


def _of_comparison(report: Report, comparison: Compared) -> Exit:
    found = comparison.counts.differences
    moving = found.pop(Difference.MOVING)
    if report.state != "complete":
        return Exit.NOT_FINISHED
    if any(found.values()):
        return Exit.INCOMPLETE
    return Exit.NOT_FINISHED if moving else Exit.COMPLETE
