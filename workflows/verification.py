"""After the job: an independent consistent read, and one sweep over what it found behind."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.closing import insist
from workflows.faults import in_plain_words
from workflows.options import EVERYWHERE, FIRST_WAIT, LONGEST_WAIT, round_options

with workflow.unsafe.imports_passed_through():
    from reindexer.items import Key, key_text
    from reindexer.models import (
        KeyList,
        KeysOfRun,
        PartitionRanges,
        Plan,
        Segment,
        Share,
        Verification,
        VerifyInput,
        VerifyResult,
    )

if TYPE_CHECKING:
    from workflows.reindex_table import ReindexTable

#: Rows per verification segment: some 60 MB, read page after page in ten seconds, for a handful of events.
_ROWS_PER_SEGMENT = 150_000
#: Rows that are swept at the most; with more the table is being written to faster than a sweep can follow.
MOST_SWEPT = 10_000
#: Keys per sweeping shard: about 50 kB of history.
_KEYS_PER_SHARD = 500


@dataclass(frozen=True)
class Waiting:
    """A part that waits for capacity."""

    reason: str
    scope: str | None


class Readers:
    """The parts that are being read, each with what it waits for."""

    def __init__(self) -> None:
        self._open: dict[int, Waiting | None] = {}

    @property
    def waiting(self) -> Waiting | None:
        """What all of them wait for, or one for all: then nothing is being read."""
        waiting = [part for part in self._open.values() if part is not None]
        everywhere = [part for part in waiting if part.scope in EVERYWHERE]
        return next(iter(everywhere if len(waiting) < len(self._open) else waiting), None)

    def begins(self, number: int) -> None:
        """A part is being read from now on."""
        self._open[number] = None

    def ended(self, number: int) -> None:
        """It is read, or given up."""
        self._open.pop(number, None)

    def told(self, number: int, result: VerifyResult) -> bool:
        """What a round of it came back with; whether that changes anything."""
        reason = "throttled, waiting to go on verifying" + (f" ({result.throttle})" if result.throttle else "")
        now = Waiting(reason, result.throttle) if result.throttled else None
        before, self._open[number] = self._open[number], now
        return before != now


async def verify_and_sweep(root: ReindexTable, plan: Plan) -> Verification | None:
    """What is behind after one sweep; None where the scope has nothing to verify, or it was switched off."""
    assert root.job is not None
    parts = _parts(plan, root.shards.tally.scanned)
    if not parts or (not root.job.verify and plan.target.writer != "none"):
        return None
    if any(shard.state.timed_out for shard in root.shards.all):
        # An attempt that was frozen may write for one more heartbeat timeout.
        await root.gate.sleep(plan.heartbeat_timeout, "until no lost attempt can write any more")
    results = await _read_all(root, plan, parts)
    if results is None:
        return None
    scanned, behind = sum(r.scanned for r in results), sum(r.behind for r in results)
    found = [key for result in results for key in result.keys][:MOST_SWEPT]
    if not found or not root.job.sweep or plan.target.writer == "none" or root.gate.stopping:
        return Verification(scanned=scanned, behind=behind)
    partitions = {
        key_text(key): name
        for result in results
        for key, name in zip(result.keys, result.partitions, strict=False)
    }
    if partitions:  # an index may name a record twice, under the value it had and the one it has
        found = list({key_text(key): key for key in found}.values())
    keys = await _not_given_up(root, plan, found)
    left = await _sweep(root, plan, keys, partitions) if keys else 0
    if behind > len(found):
        root.warnings.append(f"{behind:,} rows were found behind; {len(keys):,} of them were swept")
    return Verification(scanned=scanned, behind=behind - len(keys) + left)


async def _not_given_up(root: ReindexTable, plan: Plan, keys: list[Key]) -> list[Key]:
    """The keys without those this run has quarantined: they have their outcome, and were tried enough."""
    if not root.shards.tally.quarantined:
        return keys
    kept: list[Key] = []
    for start in range(0, len(keys), _KEYS_PER_SHARD):
        request = KeysOfRun(
            job=workflow.info().workflow_id, run=plan.run, keys=keys[start : start + _KEYS_PER_SHARD]
        )
        kept += (
            await insist(
                root,
                "not_quarantined",
                lambda request=request: request,  # type: ignore[misc]
                result_type=list[Key],
            )
            or []
        )
    return kept


async def _sweep(root: ReindexTable, plan: Plan, keys: list[Key], partitions: dict[str, str]) -> int:
    """Carry the rows found behind once more; returns how many are still behind.

    `partitions`: in which each was found, by its key; empty where the job does not count by partitions.
    """
    lists: list[KeyList] = []
    for start in range(0, len(keys), _KEYS_PER_SHARD):
        part = keys[start : start + _KEYS_PER_SHARD]
        found_in = [partitions[key_text(key)] for key in part] if partitions else []
        lists.append(KeyList(keys=part, partitions=found_in))
    root.warnings.append(f"{len(keys):,} rows written by others meanwhile were found behind and swept once")
    root.phase = "running"
    await root.shards.run(plan, list(lists))
    root.phase = "verifying"
    requests = [_request(plan, keys=part.keys) for part in lists]
    results = await _read_all(root, plan, requests)
    return len(keys) if results is None else sum(result.behind for result in results)


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


async def _read_all(root: ReindexTable, plan: Plan, requests: list[VerifyInput]) -> list[VerifyResult] | None:
    """All parts, a bounded number at a time; None: stopping."""
    turn = asyncio.Semaphore(root.limits.shards_in_flight)

    async def one(number: int, request: VerifyInput) -> VerifyResult | None:
        async with turn:
            root.readers.begins(number)
            try:
                readers = min(len(requests), root.limits.shards_in_flight)
                return await _read(root, plan, request, readers, number)
            finally:
                root.readers.ended(number)

    results = await asyncio.gather(*(one(*part) for part in enumerate(requests)))
    whole = [result for result in results if result is not None]
    return whole if len(whole) == len(requests) else None


async def _read(
    root: ReindexTable, plan: Plan, request: VerifyInput, readers: int, number: int
) -> VerifyResult | None:
    """One part, in rounds, until it is read whole."""
    total = VerifyResult()
    wait = 0.0
    while True:
        if wait:
            await root.gate.sleep(wait, "waiting to go on verifying")
        if not await root.gate.wait_open():
            return None
        rate = root.limits.read_units_per_second
        share = Share(read_units=rate / readers if isinstance(rate, float | int) else None)
        handle = workflow.start_activity(
            "verify_segment",
            request.model_copy(
                update={"cursor": total.cursor, "share": share, "target": plan.target.running(root.code)}
            ),
            task_queue=plan.rounds_queue,
            result_type=VerifyResult,
            summary=f"verify {_name(request)}",
            **round_options(plan.round_seconds, plan.heartbeat_timeout),
        )
        forget = root.when_changed(handle.cancel)
        try:
            result: VerifyResult = await handle
        except ActivityError as error:
            if root.gate.open:
                root.park(f"verification failed: {error.cause or error}")
            continue
        finally:
            forget()
        before, total = total.cursor, _plus(total, result)
        if root.readers.told(number, result):
            root.noticed()
        if result.fault:
            root.park(in_plain_words(result.fault))
        elif result.done:
            return total
        moved = result.scanned > 0 or (request.values is not None and result.cursor != before)
        if moved:
            wait = FIRST_WAIT if result.throttled else 0.0
        else:
            wait = min(LONGEST_WAIT, max(FIRST_WAIT, 2 * wait))


def _plus(total: VerifyResult, result: VerifyResult) -> VerifyResult:
    return result.model_copy(
        update={
            "scanned": total.scanned + result.scanned,
            "behind": total.behind + result.behind,
            "keys": (total.keys + result.keys)[:MOST_SWEPT],
            "partitions": (total.partitions + result.partitions)[:MOST_SWEPT],
            "read_units": total.read_units + result.read_units,
        }
    )


def _name(request: VerifyInput) -> str:
    if request.values is not None:
        return f"{len(request.values)} partitions"
    return f"{len(request.keys)} keys" if request.keys else f"segment {request.segment} of {request.total}"
