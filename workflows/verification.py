"""After the job: an independent consistent read, and one sweep over what it found behind."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from temporalio import workflow

from workflows.closing import insist
from workflows.readers import MOST_FOUND, Readers
from workflows.running_job import RunningJob
from workflows.shards import Shards

with workflow.unsafe.imports_passed_through():
    from reindexer.items import Key, key_text
    from reindexer.models import (
        JobInput,
        KeyList,
        KeysOfRun,
        PartitionRanges,
        Plan,
        Segment,
        Verification,
        VerifyInput,
    )

#: Rows per verification segment: some 60 MB, read page after page in ten seconds, for a handful of events.
_ROWS_PER_SEGMENT = 150_000
#: Keys per sweeping shard: about 50 kB of history.
_KEYS_PER_SHARD = 500


@dataclass(frozen=True)
class Verifier:
    """What a verification needs of its job."""

    job: RunningJob
    shards: Shards
    readers: Readers
    plan: Plan
    asked: JobInput

    async def verify_and_sweep(self) -> Verification | None:
        """What is behind after one sweep; None where there is nothing to verify, or it was switched off."""
        plan, asked = self.plan, self.asked
        parts = _parts(plan, self.shards.tally.scanned)
        if not parts or (not asked.verify and plan.target.writer != "none"):
            return None
        if any(shard.state.timed_out for shard in self.shards.all):
            # An attempt that was frozen may write for one more heartbeat timeout.
            await self.job.gate.sleep(plan.heartbeat_timeout, "until no lost attempt can write any more")
        results = await self.readers.read(plan, parts)
        if results is None:
            return None
        scanned, behind = sum(r.scanned for r in results), sum(r.behind for r in results)
        found = [key for result in results for key in result.keys][:MOST_FOUND]
        if not found or not asked.sweep or plan.target.writer == "none" or self.job.gate.stopping:
            return Verification(scanned=scanned, behind=behind)
        partitions = {
            key_text(key): name
            for result in results
            for key, name in zip(result.keys, result.partitions, strict=False)
        }
        if partitions:  # an index may name a record twice, under the value it had and the one it has
            found = list({key_text(key): key for key in found}.values())
        keys = await self._not_given_up(found)
        left = await self._sweep(keys, partitions) if keys else 0
        if behind > len(found):
            self.job.warnings.append(f"{behind:,} rows were found behind; {len(keys):,} of them were swept")
        return Verification(scanned=scanned, behind=behind - len(keys) + left)

    async def _not_given_up(self, keys: list[Key]) -> list[Key]:
        """The keys without those this run has quarantined: they have their outcome, and were tried enough."""
        if not self.shards.tally.quarantined:
            return keys
        kept: list[Key] = []
        for part in _lists(keys):
            request = KeysOfRun(job=workflow.info().workflow_id, run=self.plan.run, keys=part)
            kept += (
                await insist(
                    self.job,
                    "not_quarantined",
                    lambda request=request: request,  # type: ignore[misc]
                    result_type=list[Key],
                )
                or []
            )
        return kept

    async def _sweep(self, keys: list[Key], partitions: dict[str, str]) -> int:
        """Carry the rows found behind once more; returns how many are still behind.

        `partitions`: in which each was found, by its key; empty where the job does not count by partitions.
        """
        lists = [
            KeyList(keys=part, partitions=[partitions[key_text(key)] for key in part] if partitions else [])
            for part in _lists(keys)
        ]
        self.job.warnings.append(
            f"{len(keys):,} rows written by others meanwhile were found behind and swept once"
        )
        self.job.phase = "running"
        await self.shards.run(self.plan, list(lists))
        self.job.phase = "verifying"
        results = await self.readers.read(self.plan, [_request(self.plan, keys=part.keys) for part in lists])
        return len(keys) if results is None else sum(result.behind for result in results)


def _lists(keys: list[Key]) -> list[list[Key]]:
    return [keys[start : start + _KEYS_PER_SHARD] for start in range(0, len(keys), _KEYS_PER_SHARD)]


def _parts(plan: Plan, scanned: int) -> list[VerifyInput]:
    """What is read: the whole table in a few segments, the named keys, or the named partitions."""
    sources = plan.sources
    if any(isinstance(source, Segment) and source.limit is not None for source in sources):
        return []  # a sample: the rest of the table is not in scope
    keys = [source for source in sources if isinstance(source, KeyList)]
    if keys:
        return [_request(plan, keys=source.keys) for source in keys]
    named = [part.value for source in sources if isinstance(source, PartitionRanges) for part in source.ranges]
    if named:
        return [_request(plan, values=values) for values in _readers(named, len(sources))]
    rows = max(scanned, plan.facts.items)
    total = min(max(1, math.ceil(rows / _ROWS_PER_SEGMENT)), max(1, len(sources)))
    return [_request(plan, segment=number, total=total) for number in range(total)]


def _readers(named: list[str], most: int) -> list[list[str]]:
    """The partitions, each once, dealt to readers; one that was cut is large, and has a reader of its own."""
    counts = Counter(named)
    large = [[value] for value, parts in counts.items() if parts > 1]
    small = [value for value, parts in counts.items() if parts == 1]
    readers = max(1, min(most, len(small)))
    return large + [small[number::readers] for number in range(readers) if small]


def _request(
    plan: Plan,
    segment: int = 0,
    total: int = 1,
    keys: list[Key] | None = None,
    values: list[str] | None = None,
) -> VerifyInput:
    return VerifyInput(
        target=plan.target,
        segment=segment,
        total=total,
        keys=keys,
        values=values,
        seconds=plan.round_seconds,
        heartbeat_timeout=plan.heartbeat_timeout,
    )
