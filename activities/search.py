"""prepare_index and finish_index: an index before its first document, and after its last; and its removal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from activities.guard import Guard
from activities.replica import begin_epoch
from activities.round_context import TemporalContext
from reindexer.checks.index_sample import sample_index
from reindexer.clocks import CLOCKS
from reindexer.errors import Refused
from reindexer.models import Indexed, IndexInput, IndexSample, IndexSampleInput
from reindexer.models.checks import DocumentRanges
from reindexer.search import admin
from reindexer.search.asking import answering
from reindexer.search.client import SearchClient
from reindexer.search.document_ranges import ranges_of
from reindexer.search.tombstones import purge
from reindexer.streams.order import TOMBSTONE_KEPT


class IndexSampleActivities:
    """On the rounds queue, where the code of jobs runs anyway."""

    def __init__(self, clients: Clients, guard: Guard) -> None:
        self._clients, self._guard = clients, guard

    @activity.defn(name="sample_index", no_thread_cancel_exception=True)
    def sample_index(self, request: IndexSampleInput) -> IndexSample:
        """Tells what it has compared when its time is over or it is asked to stop. Reads only."""
        context = TemporalContext(request.heartbeat_timeout, self._guard)
        activity.heartbeat()
        with translated():
            assert request.target.search is not None, "which index?"
            client = self._clients.search(request.target.search)
            return sample_index(request, self._clients.table(request.target), client, context)


class IndexActivities:
    """Each may be repeated."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn
    def prepare_index(self, request: IndexInput) -> None:
        """Take the epoch and create the index. What is another job's is refused, and not tried again."""
        with self._cluster(request) as client:
            self._begin_epoch(request)
            admin.create(client, request)

    @activity.defn
    def prepare_rescan(self, request: IndexInput) -> None:
        """Take the epoch for an index that is there; what was given up before is taken up by its scan."""
        with self._cluster(request) as client:
            self._begin_epoch(request)
            ledger, index = self._clients.ledger, request.index
            ledger.epochs.keep_index(index.destination, request.epoch, index.index)
            admin.take_over(client, index.index, request.epoch)
            ledger.positions.drop_before(index.destination, request.epoch)
            ledger.failures.drop_before(request.job, request.run, request.epoch)

    def _begin_epoch(self, request: IndexInput) -> None:
        place = request.index.destination, request.epoch
        begin_epoch(self._clients.ledger, place, request.run, request.positions)

    @activity.defn
    def document_ranges(self, request: IndexInput) -> DocumentRanges:
        """All documents of the index, in parts that shards of the job compare."""
        with self._cluster(request) as client:
            return DocumentRanges(ranges=ranges_of(client, request.index.index))

    @activity.defn
    def finish_index(self, request: IndexInput) -> Indexed:
        """Make the index ready for readers, count what it holds, and move their alias if it may move."""
        index = request.index
        with self._cluster(request) as client:
            if request.scanned:
                self._clients.ledger.positions.scanned(index.destination, request.epoch)
            own = admin.meta_of(client, index.index)
            if own.get("epoch", 0) > request.epoch and not request.scanned:
                why = "it is filled again since, by a follow: that moves it, once it is drained"
                return Indexed(index=index.index, alias=index.alias, counted=False, why=why)
            if own.get("epoch") != request.epoch:
                raise Refused(f"{index.index} is not the index that this job has written", "IndexReplaced")
            admin.make_ready(client, index.index, own)
            documents, tombstones = admin.count(client, index.index) if request.count else (0, 0)
            found = Indexed(
                index=index.index,
                alias=index.alias,
                documents=documents,
                expected=request.expected,
                exactly=request.exactly,
                counted=request.count,
                tombstones=tombstones,
            )
            why = self._why_not(request, found) or self._given_up(request, own)
            if why := why or self._taken(request, client, own):
                return found.model_copy(update={"why": why})
            return found.model_copy(update={"moved": True, "previous": admin.move_alias(client, request)})

    @activity.defn
    def purge_tombstones(self, request: IndexInput) -> int:
        """Remove tombstones that are older than anything that may still land; returns how many."""
        CLOCKS.hear(activity.info().started_time)
        before = CLOCKS.earliest() - TOMBSTONE_KEPT  # a clock that is fast removes nothing too early
        with self._cluster(request) as client:
            return purge(client, request.index.index, request.index.write_alias, before)

    @activity.defn
    def remove_index(self, request: IndexInput) -> None:
        """Remove the index of a dry run, whatever became of that. Nothing happens where it is gone."""
        with self._cluster(request) as client:
            admin.remove(client, request.index.index)

    @contextmanager
    def _cluster(self, request: IndexInput) -> Iterator[SearchClient]:
        """The index's cluster; what its answers mean is raised as Temporal's errors."""
        with translated():
            client = self._clients.search(request.index)
            with answering(client):
                yield client

    def _taken(self, request: IndexInput, client: SearchClient, own: Mapping[str, Any]) -> str:
        return "" if request.take else admin.moved_by_others(client, request.index, own)

    def _why_not(self, request: IndexInput, found: Indexed) -> str:
        """Why the readers' alias stays where it is; "" where it moves."""
        if not request.move:
            return request.why_not
        if not found.complete:
            return found.shortfall
        return ""

    def _given_up(self, request: IndexInput, own: Mapping[str, Any]) -> str:
        """Why it stays where records of these runs, or of the one that made the index, are given up."""
        if not request.given_up_by:
            return ""
        runs = {(request.given_up_by[0], request.given_up_by[1]), (str(own.get("job")), str(own.get("run")))}
        listed: dict[str, str] = {}
        for job, run in runs:
            listed |= self._clients.ledger.failures.still_open(job, run)
        if not (left := len(listed)):
            return ""
        job = min(listed.values())
        records, all_ = ("1 record is", "it") if left == 1 else (f"{left:,} records are", "all")
        return f"{records} given up; readers get it once `reindexer redrive {job}` has settled {all_}"
