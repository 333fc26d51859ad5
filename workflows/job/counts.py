"""All counts of a job at one moment: as its root knows them, or with what someone has just seen besides."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from temporalio import workflow

from workflows.job.shard import Shard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import (
        READING,
        Compared,
        Comparison,
        Counts,
        Followed,
        Lineages,
        Looked,
        Phase,
        SampledSegments,
        Verification,
        estimate,
    )
    from reindexer.tally import Attempts, Tally

#: Shards that are added up together: of 400, a change of one adds 20 again, and 20 sums.
_TOGETHER = 20


@dataclass(frozen=True)
class Figures:
    """`checked`, `compared`: of the reading in hand. `followed`: of each shard that reads a stream."""

    tally: Tally
    attempts: Attempts
    isolated: int
    read_units: float
    write_units: float
    checked: Verification
    compared: Comparison
    followed: list[Followed]


class Totals:
    """Adds up the counts of shards. Asked for at each change of a job, most of which concern one shard."""

    def __init__(self) -> None:
        self._known: dict[tuple[Phase, int], tuple[list[Counts], Counts]] = {}  # by phase and first shard in it

    def now(self, shards: Iterable[Shard]) -> Figures:
        """As the root knows them."""
        return _figures(shards, lambda shard: shard.counts, self._total)

    def _total(self, phase: Phase, every: list[Counts]) -> Counts:
        sums = []
        for first in range(0, len(every), _TOGETHER):
            parts = every[first : first + _TOGETHER]
            known = self._known.get((phase, first))
            if known is None or len(known[0]) != len(parts) or not all(map(operator.is_, known[0], parts)):
                known = self._known[phase, first] = parts, Counts.total(parts)
            sums.append(known[1])
        return Counts.total(sums)


def seen_by(looked: Looked, shards: Iterable[Shard]) -> Figures:
    """With what someone has just seen, which changes nothing in `shards`."""
    return _figures(shards, lambda shard: _counts(shard, looked), lambda _, every: Counts.total(every))


def _figures(
    shards: Iterable[Shard],
    counts_of: Callable[[Shard], Counts],
    total: Callable[[Phase, list[Counts]], Counts],
) -> Figures:
    """`shards` in the order in which their phases began."""
    by_phase, followed = defaultdict[Phase, list[Counts]](list), list[Followed]()
    for shard in shards:
        counts = counts_of(shard)
        by_phase[shard.phase].append(counts)
        if isinstance(shard.source, Lineages):
            followed.append(counts.followed or Followed())
    phases = {phase: total(phase, every) for phase, every in by_phase.items()}
    changing = Counts.total([counts for phase, counts in phases.items() if phase not in READING])
    read = [counts for phase, counts in phases.items() if phase in READING]
    return Figures(
        tally=changing.tally,
        attempts=changing.attempts,
        isolated=changing.isolated,
        read_units=sum(counts.read_units for counts in phases.values()),
        write_units=sum(counts.write_units for counts in phases.values()),
        checked=read[-1].checked if read else Verification(),
        compared=read[-1].compared if read else Comparison(),
        followed=followed,
    )


def _counts(shard: Shard, looked: Looked) -> Counts:
    seen = looked.shards.get(shard.index) if shard.open else None
    if seen is None:
        return shard.counts
    other = replace(shard)
    other.see(seen, 0.0, measured=False)
    return other.counts


def compared_so_far(shards: Iterable[Shard]) -> Compared:
    """What the shards that compare have come to, as far as it is known."""
    mine = [shard for shard in shards if shard.phase == "comparing"]
    counts = Comparison.total([shard.counts.compared for shard in mine])
    total = next((s.source.total for s in mine if isinstance(s.source, SampledSegments)), None)
    chunks = [0] * (max((shard.index for shard in mine), default=-1) + 1)  # by the number of the shard
    for shard in mine:
        chunks[shard.index] = shard.summary.chunks
    return Compared(
        counts=counts,
        estimate=None if total is None else estimate(counts.clusters, total),
        chunks=chunks,
    )
