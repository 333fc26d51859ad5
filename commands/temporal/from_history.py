"""The progress of a job that no worker answers for: from its history, and from its open shards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowExecutionDescription

from activities.look import shard_name
from commands.temporal.history import History, Shard, history_of, with_round
from reindexer.models import Counts, JobProgress, Looked, Plan, ShardsDone, Verification


async def from_history(
    client: Client, description: WorkflowExecutionDescription, names: Mapping[int, str], looked: Looked | None
) -> JobProgress:
    """Progress as far as the server can tell. `names`, `looked`: the open shards, and what was seen of them."""
    known = await history_of(client, description.id)
    for index, seen in (looked.shards if looked else {}).items():
        known.shards[shard_name(names[index])[0]] = Shard(with_round(seen), open=True)
    writing, reading = _of_kind(known, "shard"), _of_kind(known, "verify")
    counts, plan = _total(writing), known.plan
    checked = _total(reading).checked if reading else None
    comparing = _of_kind(known, "compare")
    compared = _total(comparing).compared if comparing else None
    noted = description.search_attributes.get("ReindexState")
    now = "comparing" if comparing else "verifying" if reading else ""
    return JobProgress(
        state=str(noted[0]) if noted else _state(known, now),
        reason=_reason(looked),
        since=(description.close_time or description.start_time).isoformat(),
        tally=counts.tally,
        attempts=counts.attempts,
        remaining=_remaining(plan, compared.scanned if compared else counts.tally.scanned, checked),
        isolated=counts.isolated,
        shards=_shards(plan, writing, reading or comparing),
        limits=plan.limits if plan else None,
        run=plan.run if plan else None,
        verification=checked,
        started_at=(known.started_at or description.start_time).isoformat(),
        as_of=datetime.now(UTC).isoformat() if looked else None,
        cycle=known.cycle,
        comparison=compared,
    )


def _state(known: History, reading: str) -> str:
    """`reading`: the state of a job that only reads now; "" where it does not."""
    if known.plan is None:
        return "planning"
    return reading or "running"


def _reason(looked: Looked | None) -> str:
    shards = looked.shards.values() if looked else ()
    parked = next((seen.situation.reason for seen in shards if seen.situation.state == "parked"), "")
    return "no worker answers; this is what the server knows" + (f": {parked}" if parked else "")


def _of_kind(known: History, kind: str) -> list[Shard]:
    return [shard for name, shard in known.shards.items() if name.startswith(kind)]


def _total(shards: list[Shard]) -> Counts:
    return Counts.total([shard.summary.counts for shard in shards])


def _remaining(plan: Plan | None, scanned: int, checked: Verification | None) -> int | None:
    """Of a job that verifies, what remains is its verification's."""
    expected, reached = plan.expected if plan else None, scanned
    if checked is not None:
        expected, reached = scanned or expected, checked.scanned
    return None if expected is None else max(0, expected - reached)


def _shards(plan: Plan | None, writing: list[Shard], reading: list[Shard]) -> ShardsDone:
    """Those of the verification where there is one; else as many as are planned, begun or not."""
    present = reading or writing
    total = len(reading) or max(len(writing), len(plan.sources) if plan else 0)
    return ShardsDone(
        total=total if plan else None,
        done=sum(shard.done for shard in present),
        running=sum(shard.open for shard in present),
    )
