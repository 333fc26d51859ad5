"""What of a failure reaches people through Temporal's own tools."""

from __future__ import annotations

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from reindexer.connect import DATA_CONVERTER


def written(**how: object) -> Failure:
    failure = Failure()
    try:
        try:
            raise ValueError("inside")
        except ValueError as inner:
            raise ApplicationError("what was wrong", **how) from inner  # type: ignore[arg-type]
    except ApplicationError as error:
        DATA_CONVERTER.failure_converter.to_failure(error, DATA_CONVERTER.payload_converter, failure)
    return failure


@pytest.mark.parametrize("how", [{"type": "BadInput", "non_retryable": True}, {"type": "Incomplete"}])
def test_a_refusal_is_its_sentence(how: dict[str, object]) -> None:
    failure = written(**how)
    assert failure.message == "what was wrong"
    assert failure.application_failure_info.type == how["type"]
    assert (failure.stack_trace, failure.HasField("cause")) == ("", False)


def test_what_is_retried_keeps_its_trace_and_cause() -> None:
    failure = written(type="ThrottlingException")
    assert "test_connect.py" in failure.stack_trace
    assert failure.cause.message == "inside"
