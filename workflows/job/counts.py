"""All counts of a job at one moment: as its root knows them, or with what someone has just seen besides."""

from __future__ import annotations

from dataclasses import dataclass, replace

from temporalio import workflow

from workflows.job.shards import Shards
from workflows.job.slot import Shard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import READING, Counts, Looked, Verification
    from reindexer.tally import Attempts, Tally


@dataclass(frozen=True)
class Figures:
    """`checked`: of the verification in hand."""

    tally: Tally
    attempts: Attempts
    isolated: int
    read_units: float
    write_units: float
    checked: Verification

    @classmethod
    def of(cls, shards: Shards, looked: Looked | None = None) -> Figures:
        """`looked` changes nothing in `shards`."""
        every = [(shard, _counts(shard, looked)) for shard in shards.all]
        changing = [counts for shard, counts in every if not shard.reads_only]
        last = next((shard.phase for shard in reversed(shards.all) if shard.phase in READING), None)
        checked = [counts.checked for shard, counts in every if shard.phase == last]
        return cls(
            tally=Tally.total(counts.tally for counts in changing),
            attempts=Attempts.total(counts.attempts for counts in changing),
            isolated=sum(counts.isolated for counts in changing),
            read_units=sum(counts.read_units for _, counts in every),
            write_units=sum(counts.write_units for _, counts in every),
            checked=Verification(
                scanned=sum(part.scanned for part in checked), behind=sum(part.behind for part in checked)
            ),
        )


def _counts(shard: Shard, looked: Looked | None) -> Counts:
    seen = looked.shards.get(shard.index) if looked and shard.open else None
    if seen is None:
        return shard.counts
    other = replace(shard)
    other.see(seen, 0.0, measured=False)
    return other.counts
