"""The totals of a job over partitions: one tally for each, folded from its shards as the job's own is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow

from workflows.slot import Shard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Report, ReportInput, Source
    from reindexer.models.by_partition import brief, ranked
    from reindexer.tally import Tally, total

#: Partitions named in a warning, a defect's list or the Web UI: enough to see which; there may be thousands.
_NAMED = 10
#: Bytes of a workflow's result: a payload may have 2 MiB, and 10,000 names of 100 characters take 1.4 MB.
_MOST_BYTES = 1_800_000


@dataclass
class Totals:
    """`unknown`: partitions of which a part was done by a shard that ended before it could tell."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    unbalanced: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def named(source: Source) -> list[str]:
    """The partitions that a shard's records count to; none in a job that does not count by them."""
    if source.kind == "partitions":
        return [part.value for part in source.ranges]
    return source.partitions if source.kind == "keys" else []


def totals(shards: Iterable[Shard]) -> Totals:
    """Of every partition that a shard was to read, found in it or not."""
    every = list(shards)
    unknown = {name for shard in every if _cut_short(shard) for name in named(shard.source)}
    tallies = {name: Tally() for name in sorted({name for shard in every for name in named(shard.source)})}
    isolated: Counter[str | None] = Counter()
    for shard in every:
        isolated.update(record.partition for record in shard.state.isolated)
        for name, tally in shard.state.partitions.items():
            tallies[name] = tallies.get(name, Tally()) + tally
    known = {name: tally for name, tally in tallies.items() if name not in unknown}
    wrong = [name for name, tally in known.items() if not tally.balanced(isolated[name])]
    return Totals(known, wrong, sorted(unknown))


def _cut_short(shard: Shard) -> bool:
    """Whether it was ended by somebody, and what it had told until then is not told by partition."""
    ended = shard.starts > 1 or shard.situation == "lost"
    return ended and total(Tally, shard.state.partitions.values()) != shard.state.tally


def few(names: Iterable[str]) -> str:
    """Some of the names, and how many there are besides."""
    every = [brief(name) for name in names]
    more = f" and {len(every) - _NAMED:,} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


class Standing:
    """How far the partitions are, for people who watch. Looked at anew only when a shard has ended."""

    def __init__(self) -> None:
        self._looked_at = (-1, -1)
        self._done = self._total = 0

    def of(self, shards: list[Shard]) -> dict[str, int] | None:
        """How many there are, and how many are done; None where the job does not count by them."""
        now = len(shards), sum(shard.done for shard in shards)
        if now != self._looked_at:
            every = {name for shard in shards for name in named(shard.source)}
            under_way = {name for shard in shards if not shard.done for name in named(shard.source)}
            self._looked_at, self._total, self._done = now, len(every), len(every - under_way)
        return {"total": self._total, "done": self._done} if self._total else None


def with_quarantined(shards: Iterable[Shard]) -> list[str]:
    """Partitions of which records were given up, most first; of a shard under way its newest records tell."""
    found: Counter[str] = Counter()
    for shard in shards:
        found.update({name: tally.quarantined for name, tally in shard.state.partitions.items()})
        if not shard.state.partitions:
            found.update(r.partition for r in shard.state.quarantined if r.partition is not None)
    return [name for name, count in found.most_common() if count]


def report_input(report: Report, version_attribute: str) -> ReportInput:
    """The report for the ledger, its partitions compressed: thousands would be too large to hand over."""
    alone = report.model_copy(update={"partitions": {}})
    return ReportInput(report=alone, version_attribute=version_attribute, partitions=report.partitions)


def as_result(report: Report) -> dict[str, Any]:
    """The report as a result or a failure's details; without room for all, those that failed first."""
    shown, ranking = report, ranked(report.partitions)
    while ranking and len(shown.model_dump_json().encode()) > _MOST_BYTES:
        ranking = ranking[: len(ranking) // 2]
        left_out = f"{len(report.partitions) - len(ranking):,} of {len(report.partitions):,} partitions"
        notice = f"{left_out} are left out here, where there is no room for them; the ledger's report has all"
        kept = {name: report.partitions[name] for name in sorted(ranking)}
        shown = report.model_copy(update={"partitions": kept, "warnings": [*report.warnings, notice]})
    return shown.model_dump(mode="json")
