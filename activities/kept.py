"""What a job keeps in the ledger while it runs: states of shards, keys of rows behind, sums over partitions."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from reindexer.ledger import Ledger
from reindexer.models import (
    Behind,
    BehindInput,
    ClearKeptInput,
    KeepInput,
    Kept,
    PartitionsInput,
    PartitionTotals,
    ShardState,
)
from reindexer.models.by_partition import ranked
from reindexer.tally import Tally, plus_each

#: Bytes of JSON of the sums by partition: half of what a payload may hold, the report around them.
MAX_PARTITIONS_BYTES = 1024 * 1024


class KeptActivities:
    """Calls of the ledger. What is given is written whole, so that each may be repeated."""

    def __init__(self, clients: Clients) -> None:
        self._ledger = clients.ledger

    @activity.defn
    def keep_state(self, request: KeepInput) -> None:
        """Keep a shard's state, which is too large to travel to its root."""
        with translated():
            self._ledger.kept.put_state(request.kept, request.state)

    @activity.defn
    def load_state(self, kept: Kept) -> ShardState:
        """The state that was kept. Raises `StateMissing`, not retryable, where there is none."""
        with translated():
            return self._ledger.kept.state(kept)

    @activity.defn
    def collect_behind(self, request: BehindInput) -> Behind:
        """Key lists of the rows that a verification found behind, without those this run has given up."""
        job, run = request.job, request.run
        with translated():
            given_up = [entry.key for entry in self._ledger.failures.open(job, run)]
            kept, lists = self._ledger.kept.collect_behind(job, run, request.most, without=given_up)
        return Behind(kept=kept, lists=lists)

    @activity.defn
    def clear_kept(self, request: ClearKeptInput) -> None:
        """Delete all that the run keeps."""
        with translated():
            self._ledger.kept.clear(request.job, request.run)

    @activity.defn
    def partition_totals(self, request: PartitionsInput) -> PartitionTotals:
        """The sums by partition, as many as one payload holds."""
        with translated():
            return bounded(every_partition(self._ledger, request))


def every_partition(ledger: Ledger, request: PartitionsInput) -> dict[str, Tally]:
    """The sums by partition over what is at hand and what the ledger keeps."""
    sums = dict(request.partitions)
    for kept in request.kept:
        sums = plus_each(sums, ledger.kept.state(kept).partitions)
    return sums


def bounded(sums: Mapping[str, Tally]) -> PartitionTotals:
    """Those that `MAX_PARTITIONS_BYTES` hold, records given up first; `total` is over all."""
    names, whole = ranked(sums), Tally.total(sums.values())
    while True:
        found = PartitionTotals(
            partitions={name: sums[name] for name in names},
            left_out=len(sums) - len(names),
            total=whole,
            empty=sum(not tally.scanned for tally in sums.values()),
        )
        size = len(found.model_dump_json().encode())
        if size <= MAX_PARTITIONS_BYTES:
            return found
        names = names[: len(names) * MAX_PARTITIONS_BYTES // size]
