"""The part of planning that differs by where a job writes to, or what it compares with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reindexer.models import (
    Compare,
    DocumentRange,
    Index,
    IndexCreation,
    JobInput,
    Operation,
    PlanInput,
    Refresh,
    RefreshReplica,
    Repair,
    Replicate,
    SampledSegments,
    SearchIndex,
    Segment,
)
from reindexer.planning.aim import Aim
from reindexer.planning.compare import Connect, Second, check_compare, check_repair, check_second
from reindexer.planning.compare_index import checks_of, compares_index, plan_compared_index
from reindexer.planning.create_replica import find_replica
from reindexer.planning.draft import Draft
from reindexer.planning.facts import Described
from reindexer.planning.probes import Writer
from reindexer.planning.refresh import plan_refresh
from reindexer.planning.replicate import (
    PlannedReplica,
    check_not_a_replica,
    check_replicate,
    plan_refreshed_replica,
    plan_replica,
)
from reindexer.planning.search import ConnectSearch, PlannedIndex, check_index, check_refresh, plan_index


@dataclass(frozen=True)
class PlannedDestination:
    """Where the job writes to. `begins`, `refilled`, `checks`: as in `Plan`."""

    aim: Aim
    writer: Writer
    warnings: Sequence[str] = ()
    checks: Sequence[Segment | SampledSegments] = ()
    documents: Sequence[DocumentRange] = ()  # what is read of an index, beside the table
    search: SearchIndex | None = None
    creation: IndexCreation | None = None
    begins: bool = False
    refilled: int = 0


@dataclass(frozen=True)
class DestinationPlanner:
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

    def plan(
        self, draft: Draft, asked: Operation, second: Second | None, connect: ConnectSearch
    ) -> PlannedDestination:
        """How the operation's destination is written."""
        job, aim = draft.request.job, draft.aim
        if second and self.replica:
            replica = self.replica(draft, asked, second.described)
            return PlannedDestination(
                replace(aim, version=replica.epoch),
                replica.writer,
                replica.warnings,
                replica.checks,
                begins=replica.begins,
                refilled=replica.refilled,
            )
        if second:
            if draft.writes:
                check_not_a_replica(second.described, draft.ledger, allowed=job.force_lock, repairs=True)
            writer, warnings = check_second(
                draft.described, second, draft.verb, draft.reach, job, draft.sources
            )
            return PlannedDestination(aim, writer, warnings)
        index = self.index(draft, asked, connect)
        if index is None:
            return PlannedDestination(aim, draft.writer)
        index, checks = checks_of(draft.request, index, draft.described)
        return PlannedDestination(
            replace(aim, version=index.epoch, operation=index.operation or aim.operation),
            "bulk" if draft.writes else "none",
            index.warnings,
            checks,
            index.documents,
            index.search,
            index.creation,
        )


def _find_replica(
    request: PlanInput, operation: Replicate, source: Described, connect: Connect
) -> Described | None:
    return find_replica(operation, source, connect(operation.to), rescans=bool(request.rescans))


def _compared_index(draft: Draft, operation: Compare, connect: ConnectSearch) -> PlannedIndex | None:
    return plan_compared_index(draft, operation, connect) if compares_index(operation) else None


_IN_PLACE = DestinationPlanner()
_DESTINATIONS: Mapping[type[Any], DestinationPlanner] = {
    Compare: DestinationPlanner(check=check_compare, index=_compared_index),
    Repair: DestinationPlanner(check=check_repair),
    Index: DestinationPlanner(check=check_index, index=plan_index),
    Refresh: DestinationPlanner(
        check=lambda job, _: check_refresh(job, "a whole table gets a new index, by `index`"),
        index=plan_refresh,
    ),
    Replicate: DestinationPlanner(
        check=lambda job, _: check_replicate(job),
        find=_find_replica,
        replica=plan_replica,
    ),
    RefreshReplica: DestinationPlanner(
        check=lambda job, _: check_refresh(job, "a whole table is replicated again, by `replicate`"),
        replica=lambda draft, _, replica: plan_refreshed_replica(draft, replica),
    ),
}


def planner_of_destination(operation: Operation) -> DestinationPlanner:
    """That of the operation; one that works on the table itself has nothing to add."""
    return _DESTINATIONS.get(type(operation), _IN_PLACE)
