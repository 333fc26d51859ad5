"""Every metric this project emits, by name. Exporters are wired in `worker.py`.

Metrics are for dashboards and alarms: an attempt that dies takes its numbers with it. The exact report of a
job is its report.
"""

from __future__ import annotations

from opentelemetry import metrics
from opentelemetry.util.types import Attributes

from reindexer.models import RoundResult, Target
from reindexer.tally import Attempts, Outcome

#: Without a provider these cost nothing.
_meter = metrics.get_meter("reindexer")
_records = _meter.create_counter("reindexer.records", "{record}", "records settled in rounds, by outcome")
_attempts = _meter.create_counter("reindexer.attempts", "{statement}", "failed attempts, by kind")
_units = _meter.create_counter("reindexer.consumed", "{capacity unit}", "capacity units, read and write")
_seconds = _meter.create_histogram("reindexer.round.duration", "s", "how long a round worked, by why it ended")


def round_ended(target: Target, result: RoundResult) -> None:
    """Count one round that came back. Labels are few: never a shard or a key."""
    common: dict[str, str] = {"table": target.table, "operation": target.operation.kind}
    progress = result.progress
    for outcome in Outcome:
        _add(_records, progress.tally[outcome], {**common, "outcome": outcome.value})
    for kind in Attempts.model_fields:
        _add(_attempts, getattr(progress.attempts, kind), {**common, "kind": kind})
    _add(_units, progress.read_units, {**common, "kind": "read"})
    _add(_units, progress.write_units, {**common, "kind": "write"})
    _seconds.record(result.seconds, {**common, "stop": result.stop.name.lower()})


def _add(counter: metrics.Counter, amount: float, labels: Attributes) -> None:
    if amount:
        counter.add(amount, labels)
