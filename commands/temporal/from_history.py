"""The fields of `progress` for a job that no worker answers for: from its history, and from its open shards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription

from commands.temporal.history import History, Shard, history_of, shard_name, with_round
from reindexer.models import Counts, Looked


async def from_history(
    client: Client, description: WorkflowExecutionDescription, names: Mapping[int, str], looked: Looked | None
) -> dict[str, Any]:
    """Progress as far as the server can tell. `names`, `looked`: the open shards, and what was seen of them."""
    known = await history_of(client, description.id)
    for index, seen in (looked.shards if looked else {}).items():
        known.shards[shard_name(names[index])[0]] = Shard(with_round(seen), open=True)
    verifying = any(name.startswith("verify") for name in known.shards)
    noted = description.search_attributes.get("ReindexState")
    state = str(noted[0]) if noted else _state(known, verifying=verifying)
    return {
        **nothing_known(state, _reason(looked), _since(description)),
        **_counted(known, verifying=verifying),
        "limits": known.plan.limits.model_dump() if known.plan else None,
        "run": known.plan.run if known.plan else None,
        "started_at": (known.started_at or description.start_time).isoformat(),
        "cycle": known.cycle,
        "as_of": datetime.now(UTC).isoformat() if looked else None,
    }


def _state(known: History, *, verifying: bool) -> str:
    if known.plan is None:
        return "planning"
    return "verifying" if verifying else "running"


def _reason(looked: Looked | None) -> str:
    shards = looked.shards.values() if looked else ()
    parked = next((seen.situation.reason for seen in shards if seen.situation.state == "parked"), "")
    return "no worker answers; this is what the server knows" + (f": {parked}" if parked else "")


def _counted(known: History, *, verifying: bool) -> dict[str, Any]:
    """Of a job that verifies, what is done and what remains is its verification's."""
    writing = [shard for name, shard in known.shards.items() if name.startswith("shard")]
    reading = [shard for name, shard in known.shards.items() if name.startswith("verify")]
    counts = sum((shard.summary.counts for shard in writing), Counts())
    checked = sum((shard.summary.counts for shard in reading), Counts()).checked
    expected = known.plan.expected if known.plan else None
    if verifying:
        expected = counts.tally.scanned or expected
    reached = checked.scanned if verifying else counts.tally.scanned
    present = reading if verifying else writing
    total = len(present) if verifying or not known.plan else max(len(present), len(known.plan.sources))
    return {
        "tally": counts.tally.model_dump(),
        "attempts": counts.attempts.model_dump(),
        "isolated": counts.isolated,
        "remaining": None if expected is None else max(0, expected - reached),
        "shards": {
            "total": total if known.plan else None,
            "done": sum(shard.done for shard in present),
            "running": sum(shard.open for shard in present),
        },
        "verification": checked.model_dump() if verifying else None,
    }


def nothing_known(state: str, reason: str, since: str) -> dict[str, Any]:
    """The fields of `progress`, empty."""
    return {
        "state": state,
        "reason": reason,
        "since": since,
        "tally": None,
        "attempts": None,
        "remaining": None,
        "in_flight": None,
        "isolated": 0,
        "shards": {"total": None, "done": None, "running": 0},
        "consumed": {},
        "limits": None,
        "throttle": None,
        "records_per_second": None,
        "eta_seconds": None,
        "partitions": None,
        "verification": None,
        "run": None,
        "started_at": None,
        "as_of": None,
        "cycle": 0,
        "cycling": False,
    }


def _since(description: WorkflowExecutionDescription) -> str:
    return (description.close_time or description.start_time).isoformat()
