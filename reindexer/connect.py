"""Connecting to Temporal by its own settings: environment, profiles, config file. For worker and CLI alike."""

from __future__ import annotations

import dataclasses
from typing import Any

from temporalio.api.enums.v1 import WorkflowExecutionStatus as ApiStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.envconfig import ClientConfig

from reindexer.errors import EnvironmentFault, one_line

#: What a job says of itself in lists and searches, where `setup` has registered it; to set one that is not
#: registered would wedge the workflow.
SEARCH_ATTRIBUTES = ("ReindexTable", "ReindexState", "ReindexOperation")


def _of_a_newer_server(status: type[WorkflowExecutionStatus], number: object) -> WorkflowExecutionStatus | None:
    """A status that the SDK has no member for, by the API's name where that has one (`PAUSED`)."""
    if not isinstance(number, int):
        return None
    known = number in ApiStatus.values()
    name = ApiStatus.Name(ApiStatus.ValueType(number)) if known else f"STATUS_{number}"
    member = int.__new__(status, number)
    member._name_, member._value_ = name.removeprefix("WORKFLOW_EXECUTION_STATUS_"), number
    return member


# Without it the SDK raises `ValueError` from describing or listing such a workflow, whoever asks.
WorkflowExecutionStatus._missing_ = classmethod(_of_a_newer_server)  # type: ignore[assignment]


class SentenceOnly(DefaultFailureConverter):
    """Leaves the stack trace out where the message says all: of refusals and of an incomplete job's end.

    The Temporal CLI and Web UI show a trace before or instead of the sentence. Errors that are retried keep
    theirs, as defects do.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """As the SDK does, then without trace and causes."""
        super().to_failure(exception, payload_converter, failure)
        application = failure.application_failure_info
        if application.non_retryable or application.type == "Incomplete":
            failure.stack_trace = ""
            failure.ClearField("cause")


#: pydantic models as payloads; failures as `SentenceOnly` writes them.
DATA_CONVERTER = dataclasses.replace(pydantic_data_converter, failure_converter_class=SentenceOnly)


async def connect(**overrides: Any) -> Client:
    """A client for `TEMPORAL_ADDRESS` or the chosen profile; localhost:7233 where nothing is set.

    Raises `EnvironmentFault` where no one answers, naming the address.
    """
    config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    config.setdefault("target_host", "localhost:7233")  # Temporal's own default
    config["data_converter"] = DATA_CONVERTER
    config |= overrides
    try:
        return await Client.connect(**config)
    except (RuntimeError, OSError, ValueError) as error:
        raise EnvironmentFault(
            "TemporalUnavailable",
            f"no Temporal server answers at {config['target_host']} ({one_line(error, 120)}); "
            "set TEMPORAL_ADDRESS, or start one with `reindexer dev`",
        ) from error


async def registered_search_attributes(client: Client) -> list[str]:
    """Which of ours the namespace has. Raises `RPCError` where the server does not tell."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    answer = await client.operator_service.list_search_attributes(request)
    return [name for name in SEARCH_ATTRIBUTES if name in answer.custom_attributes]
