"""One flat list of what a worker process offers, per task queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from activities.arrival import ArrivalActivities
from activities.clients import Clients
from activities.compare import CompareActivities, DifferenceActivities
from activities.dry_run import DryRunActivities
from activities.ended_shard import EndedShardActivities
from activities.guard import Guard
from activities.identity import Identities
from activities.kept import KeptActivities
from activities.last_look import ClosingLookActivities
from activities.lock import LockActivities
from activities.lock_held import LockHeld
from activities.look import LookActivities
from activities.older_epochs import OlderActivities
from activities.plan import PlanActivities, SearchAttributeActivities
from activities.quarantine import QuarantineActivities
from activities.record import RecordActivities
from activities.replica import ReplicaActivities
from activities.report import ReportActivities
from activities.round import RoundActivities
from activities.search import IndexActivities, IndexSampleActivities
from activities.stream_look import StreamLookActivities
from activities.verify import VerifyActivities
from reindexer.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client


class Questions:
    """What a process asks before work begins, once for all its activities: their answers serve each other."""

    def __init__(self, clients: Clients) -> None:
        self.identities, self.holding = Identities(clients), LockHeld(clients)


def control_activities(
    clients: Clients, client: Client, settings: Settings, questions: Questions, guard: Guard
) -> list[Callable[..., Any]]:
    """On the task queue itself: everything but rounds, so that none of it waits behind them."""
    lock, report = LockActivities(clients, client), ReportActivities(clients)
    index, replica = IndexActivities(clients), ReplicaActivities(clients)
    arrival = ArrivalActivities(clients, client)
    kept, quarantine = KeptActivities(clients), QuarantineActivities(clients)
    differences = DifferenceActivities(clients)
    return [
        *job_activities(clients, settings, questions, guard),
        SearchAttributeActivities(client).registered_search_attributes,
        lock.take_lock,
        lock.release_lock,
        kept.keep_state,
        kept.load_state,
        kept.collect_behind,
        kept.clear_kept,
        kept.partition_totals,
        differences.sample_differences,
        differences.name_differences,
        quarantine.close_redriven,
        quarantine.count_left,
        index.prepare_index,
        index.prepare_rescan,
        OlderActivities(clients).collect_older,
        index.document_ranges,
        index.finish_index,
        index.purge_tombstones,
        index.remove_index,
        replica.prepare_replica,
        replica.note_scanned,
        report.write_report,
        report.record_version,
        EndedShardActivities(clients, client).last_state,
        LookActivities(clients, client).look,
        StreamLookActivities(clients).look,
        arrival.require_follow,
        arrival.await_arrival,
    ]


def job_activities(
    clients: Clients, settings: Settings, questions: Questions, guard: Guard
) -> list[Callable[..., Any]]:
    """Of those what a job's own workers do: what reaches its records one by one, or runs its code."""
    return [
        PlanActivities(clients, settings).make_plan,
        RecordActivities(clients, questions.identities, questions.holding, guard).reindex_record,
        QuarantineActivities(clients).quarantine_record,
    ]


def round_activities(clients: Clients, questions: Questions, guard: Guard) -> list[Callable[..., Any]]:
    """On the rounds queue: what reads or writes the table in number."""
    identities = questions.identities
    return [
        RoundActivities(clients, identities, questions.holding, guard).reindex_round,
        VerifyActivities(clients, identities, guard).verify_segment,
        CompareActivities(clients, identities, guard).compare_segment,
        ClosingLookActivities(clients, identities, guard).count_ahead,
        DryRunActivities(clients, guard).dry_run,
        IndexSampleActivities(clients, guard).sample_index,
    ]
