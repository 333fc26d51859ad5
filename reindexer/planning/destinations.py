"""The part of planning that differs by where a job writes to, or what it compares with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reindexer.models import (
    Compare,
    Index,
    JobInput,
    Operation,
    PlanInput,
    Refresh,
    RefreshReplica,
    Repair,
    Replicate,
)
from reindexer.planning.compare import Connect, check_compare, check_repair
from reindexer.planning.compare_index import compares_index, plan_compared_index
from reindexer.planning.create_replica import find_replica
from reindexer.planning.draft import Draft
from reindexer.planning.facts import Described
from reindexer.planning.refresh import plan_refresh
from reindexer.planning.replicate import (
    PlannedReplica,
    check_replicate,
    plan_refreshed_replica,
    plan_replica,
)
from reindexer.planning.search import ConnectSearch, PlannedIndex, check_index, check_refresh, plan_index


@dataclass(frozen=True)
class Destination:
    """What planning asks of an operation's destination, with an operation of the class it is registered for.

    Each may raise `BadInput`; those after `check` also `Refused` and `EnvironmentFault`.
    """

    #: What needs neither table nor cluster: refused at once.
    check: Callable[[JobInput, Any], None] = lambda _job, _operation: None
    #: The second table as the job is going to have it; None: as it is described.
    find: Callable[[PlanInput, Any, Described, Connect], Described | None] = lambda *_: None
    #: The replica that the second table is; None: it is none.
    replica: Callable[[Draft, Any, Described], PlannedReplica] | None = None
    #: The index; None: there is none.
    index: Callable[[Draft, Any, ConnectSearch], PlannedIndex | None] = lambda *_: None


def _find_replica(
    request: PlanInput, operation: Replicate, source: Described, connect: Connect
) -> Described | None:
    return find_replica(operation, source, connect(operation.to), rescans=bool(request.rescans))


def _compared_index(draft: Draft, operation: Compare, connect: ConnectSearch) -> PlannedIndex | None:
    return plan_compared_index(draft, operation, connect) if compares_index(operation) else None


_IN_PLACE = Destination()
_DESTINATIONS: Mapping[type[Any], Destination] = {
    Compare: Destination(check=check_compare, index=_compared_index),
    Repair: Destination(check=check_repair),
    Index: Destination(check=check_index, index=plan_index),
    Refresh: Destination(
        check=lambda job, _: check_refresh(job, "a whole table gets a new index, by `index`"),
        index=plan_refresh,
    ),
    Replicate: Destination(
        check=lambda job, _: check_replicate(job),
        find=_find_replica,
        replica=plan_replica,
    ),
    RefreshReplica: Destination(
        check=lambda job, _: check_refresh(job, "a whole table is replicated again, by `replicate`"),
        replica=lambda draft, _, replica: plan_refreshed_replica(draft, replica),
    ),
}


def destination_of(operation: Operation) -> Destination:
    """That of the operation; one that works on the table itself has nothing to add."""
    return _DESTINATIONS.get(type(operation), _IN_PLACE)
