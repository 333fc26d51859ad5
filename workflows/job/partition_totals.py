"""The totals of a job over partitions: one tally for each, folded from its shards as the job's own is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from temporalio import workflow

from workflows.job.shard import Shard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Isolated, PartitionsDone, PartitionsInput, PartitionTotals, Report, Source
    from reindexer.models.by_partition import brief, ranked
    from reindexer.tally import Tally, plus_each

#: Partitions named in a warning, a defect's list or the Web UI: enough to see which; there may be thousands.
_NAMED = 10
#: Bytes of a workflow's result: a payload may have 2 MiB, and 10,000 names of 100 characters take 1.4 MB.
_MAX_BYTES = 1_800_000


def named(source: Source) -> list[str]:
    """The partitions that a shard's records count to; none in a job that does not count by them."""
    if source.kind == "partitions":
        return [part.value for part in source.ranges]
    return source.partitions if source.kind == "keys" else []


def of_shards(shards: Iterable[Shard]) -> PartitionsInput:
    """Where the tallies by partition are, of shards that have ended: at hand, or in the ledger.

    Every partition that a shard was to read has one, found or not.
    """
    every = list(shards)
    at_hand = {name: Tally() for name in sorted({name for shard in every for name in named(shard.source)})}
    kept = []
    for shard in every:
        if shard.kept is not None:
            kept.append(shard.kept)
        elif shard.state is not None:
            at_hand = plus_each(at_hand, shard.state.partitions)
    return PartitionsInput(partitions=at_hand, kept=kept)


def unknown(shards: Iterable[Shard]) -> list[str]:
    """Partitions of which a part was done by a shard that could not tell what by partition."""
    return sorted({name for shard in shards if shard.lost for name in named(shard.source)})


def known(totals: PartitionTotals, shards: Iterable[Shard]) -> PartitionTotals:
    """Without those that are not exact."""
    without = set(unknown(shards))
    exact = {name: tally for name, tally in totals.partitions.items() if name not in without}
    doubtful = sum(not totals.partitions[name].scanned for name in without & set(totals.partitions))
    return totals.model_copy(update={"partitions": exact, "empty": max(0, totals.empty - doubtful)})


def few(names: Iterable[str]) -> str:
    """Some of the names, and how many there are besides."""
    every = [brief(name) for name in names]
    more = f" and {len(every) - _NAMED:,} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


class PartitionProgress:
    """How far the partitions are, for people who watch. Looked at again only when a shard has ended."""

    def __init__(self) -> None:
        self._looked_at = (-1, -1)
        self._seen: PartitionsDone | None = None

    def of(self, shards: list[Shard]) -> PartitionsDone | None:
        """How many there are, and how many are done; None where the job does not count by them."""
        now = len(shards), sum(shard.done for shard in shards)
        if now != self._looked_at:
            every = {name for shard in shards for name in named(shard.source)}
            under_way = {name for shard in shards if not shard.done for name in named(shard.source)}
            self._looked_at = now
            self._seen = PartitionsDone(total=len(every), done=len(every - under_way)) if every else None
        return self._seen


def with_quarantined(newest: Iterable[Isolated]) -> list[str]:
    """Partitions of the newest records that were given up, most first."""
    found = Counter(record.partition for record in newest if record.partition is not None)
    return [name for name, _ in found.most_common()]


def as_result(report: Report) -> dict[str, Any]:
    """The report as a result or a failure's details; without room for all, those that failed first."""
    shown, ranking = report, ranked(report.partitions)
    while ranking and len(shown.model_dump_json().encode()) > _MAX_BYTES:
        ranking = ranking[: len(ranking) // 2]
        left_out = f"{len(report.partitions) - len(ranking):,} of {len(report.partitions):,} partitions"
        notice = f"{left_out} are left out here, where there is no room for them; the ledger's report has all"
        kept = {name: report.partitions[name] for name in sorted(ranking)}
        shown = report.model_copy(update={"partitions": kept, "warnings": [*report.warnings, notice]})
    return shown.model_dump(mode="json")
