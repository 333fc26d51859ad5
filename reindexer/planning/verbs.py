"""The part of planning that differs by verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reindexer.models import (
    Compare,
    Index,
    Operation,
    Purpose,
    Refresh,
    RefreshReplica,
    Repair,
    Replicate,
    Touch,
    Transform,
    Unstamp,
    Verify,
    documents_of,
)
from reindexer.planning.job import (
    checked_job,
    may_change_any,
    plan_documents,
    plan_job,
    purpose_of_job,
    queue_of_job,
)


@dataclass(frozen=True)
class Planner:
    """What planning asks of a verb, beside its declaration. Each may raise `BadInput`."""

    #: What needs no table: refused at once.
    check: Callable[[Any], object] = lambda _operation: None
    #: The task queue of workers that it has of its own; None: it has none.
    queue: Callable[[Any], str | None] = lambda _operation: None
    #: Whether it may change any attribute of a record, and not the stamp alone.
    changes_any: Callable[[Any], bool] = lambda _operation: False
    #: What it makes of the version that it writes; None: it writes none.
    purpose: Callable[[Any], Purpose | None] = lambda _operation: None
    #: (the operation with all that it needs, its code's hash, warnings); None: it is planned as it is.
    finish: Callable[..., tuple[Any, str | None, list[str]]] | None = None


def _checked(operation: Index | Refresh | None) -> object:
    return checked_job(operation) if operation and operation.job else None


def _queue(operation: Refresh | None) -> str | None:
    return queue_of_job(operation) if operation else None


#: Of a verb that writes documents: a job may make them.
_DOCUMENTS = Planner(
    check=_checked,
    queue=queue_of_job,
    finish=plan_job,
)
_PLANNERS: Mapping[type[Any], Planner] = {
    Touch: Planner(purpose=lambda _operation: Purpose(kind="touch")),
    Transform: Planner(
        check=checked_job,
        queue=queue_of_job,
        changes_any=may_change_any,
        purpose=purpose_of_job,
        finish=plan_job,
    ),
    Verify: Planner(),
    Unstamp: Planner(),
    Compare: Planner(
        check=lambda operation: _checked(documents_of(operation)),
        queue=lambda operation: _queue(documents_of(operation)),
        finish=plan_documents,
    ),
    Repair: Planner(),
    Replicate: Planner(),
    Index: _DOCUMENTS,
    Refresh: _DOCUMENTS,
    RefreshReplica: Planner(),
}


def planner_of(operation: Operation) -> Planner:
    """The planner of the operation's verb."""
    return _PLANNERS[type(operation)]


def queue_of(operation: Operation) -> str | None:
    """The task queue of workers that the operation's job has of its own; None: it has none.

    Raises `BadInput` where its job is not here.
    """
    return planner_of(operation).queue(operation)
