"""What a run of the root begins with: the operator's input, and what the run before handed over."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.explain import explain
    from reindexer.models import Carried, JobInput, RunCarried


def validated(args: tuple[Any, ...], kind: type[JobInput]) -> JobInput:
    """The input. Raises `ApplicationError` naming the field at fault, and what would be right."""
    chained = workflow.info().continued_run_id is not None
    if len(args) != 1 + chained:
        problem = "no input was given" if not args else f"{len(args)} inputs were given"
        raise ApplicationError(
            f'{problem}; exactly one is expected, for example {{"table": "cities"}}',
            type="BadInput",
            non_retryable=True,
        )
    try:
        return kind.model_validate(args[0])
    except ValidationError as error:
        raise ApplicationError(explain(error), type="BadInput", non_retryable=True) from None


def carried_over(args: tuple[Any, ...]) -> RunCarried | None:
    """What the run before has handed over; None in a job's first run."""
    return Carried.model_validate(args[1]).run if len(args) > 1 else None
