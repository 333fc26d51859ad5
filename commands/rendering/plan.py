"""Looking ahead: the plan as the operator's own credentials see it, for people and for the Web UI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import DIM, WARN, count, facts, note, size, some
from reindexer.dynamo.client import make_client
from reindexer.errors import EnvironmentFault
from reindexer.ledger import Ledger
from reindexer.models import (
    JobInput,
    PartitionRanges,
    PartitionScope,
    Plan,
    PlanInput,
    Quarantined,
)
from reindexer.planning.plan import make_plan
from reindexer.planning.verbs import queue_of
from reindexer.settings import settings


@dataclass(frozen=True)
class Preview:
    """A plan made here. The worker makes its own, with its credentials and a run stamp."""

    plan: Plan
    rows: list[tuple[str, str]]

    @property
    def markdown(self) -> str:
        """For the Web UI, which shows it beside the job."""
        lines = [f"- **{name}**: {text}" for name, text in self.rows]
        lines += [f"- ⚠ {warning}" for warning in self.plan.warnings]
        return "\n".join(lines)


def look_ahead(job: JobInput, workflow_id: str) -> Preview | None:
    """Plan here, without writing anything. None where this machine may not look, and that is said.

    Raises `BadInput` and `Refused` as the job itself would.
    """
    request = PlanInput(job=job, workflow_id=workflow_id, started_at=datetime.now(UTC), run="preview")
    chosen = settings()
    try:
        plan = make_plan(
            request,
            client=make_client(),
            ledger=Ledger(chosen.ledger_table),
            heartbeat_timeout=chosen.heartbeat_timeout,
        )
    except EnvironmentFault as fault:
        # Who may start jobs need not have access to the table: the workers do.
        note(f"the plan cannot be shown, since the table cannot be asked from here: {fault}", WARN)
        note("the job is planned by its worker", DIM)
        return None
    return Preview(plan, list(_rows(plan, job)))


def summary(job: JobInput) -> str:
    """A line for lists: what is done to which table."""
    scope = "" if job.scope.kind == "complete" else f", {job.scope.kind}"
    version = job.operation.version
    target = f" to version {version}" if version else ""
    verb = f"{job.operation.words}{' (dry run)' if job.dry_run else ''}"
    return f"{verb} {job.table.rsplit('/', 1)[-1]}{target}{scope}"


def plan_text(preview: Preview | None, job: JobInput, name: str) -> RenderableType:
    """The plan for a terminal."""
    title = Text.assemble((name, "bold"), f"  {summary(job)}")
    if preview is None:
        return title
    warnings = [Text(f"! {warning}", WARN) for warning in preview.plan.warnings]
    return Group(title, Text(), facts(preview.rows), *([Text(), *warnings] if warnings else []), Text())


def _rows(plan: Plan, job: JobInput) -> Iterator[tuple[str, str]]:
    target, about = plan.target, plan.facts
    yield "account", about.account or "not told"
    yield "region", about.region
    yield "table", target.table + ", key " + ", ".join(f"{k.name} ({k.type})" for k in target.key)
    yield "records", f"about {count(about.items)}, {size(about.size_bytes)} (DynamoDB's count, hours old)"
    yield "indexes", ", ".join(about.indexes) or "none"
    yield "stream", " and ".join(_followers(plan)) or "none"
    yield "capacity", about.capacity_mode + _capacity(plan)
    if about.point_in_time_recovery is not None:
        yield "recovery", "point in time" if about.point_in_time_recovery else "no point-in-time recovery"
    if plan.ttl:
        yield "TTL", plan.ttl
    yield "target", _target(plan, job)
    if plan.target.within is not None:
        yield "partitions", _partitions(plan, plan.target.within)
    yield "shards", _shards(plan)
    yield "limits", plan.limits_from or "none"
    yield "up to", f"{some(plan.limits.quarantined, 'quarantined record')}, then the job parks itself"
    yield (
        "writer",
        {
            "partiql": "conditional PartiQL batches",
            "update_item": "UpdateItem, one record a call",
            "none": "none: it only reads",
        }[target.writer],
    )
    own = queue_of(target.operation)
    if own:
        yield "workers", f"the job's own, on task queue {own}"
    yield "afterwards", _afterwards(job)


def _followers(plan: Plan) -> list[str]:
    return [
        *([f"DynamoDB stream ({plan.facts.stream})"] if plan.facts.stream else []),
        *(["Kinesis data stream"] if plan.facts.kinesis else []),
    ]


def _capacity(plan: Plan) -> str:
    read, write = plan.facts.read_capacity, plan.facts.write_capacity
    known = [f"{count(n)} {word} units/s" for n, word in ((read, "read"), (write, "write")) if n]
    return f", {', '.join(known)}" if known else ""


def _target(plan: Plan, job: JobInput) -> str:
    version = f"version {plan.target.version} in {plan.target.attributes.version}"
    if not plan.verb.writes:
        return f"{version}: how many records are behind it"
    if isinstance(job.scope, Quarantined) or job.operation.version not in (None, "next"):
        return version
    chosen = "one above the highest recorded" if job.operation.version == "next" else "the start time in ms"
    return f"{version} ({chosen})"


def _partitions(plan: Plan, within: PartitionScope) -> str:
    """How many, of what, how many are cut into parts, and what is known of their records."""
    parts = Counter(part.value for s in plan.sources if isinstance(s, PartitionRanges) for part in s.ranges)
    cut = [value for value, number in parts.items() if number > 1]
    text = f"{count(len(parts))} by {within.partition.name}"
    if within.index:
        text += f", from index {within.index}"
    if within.condition is not None and within.sort is not None:
        text += f", {within.sort.name} {within.condition.operator} {' and '.join(within.condition.values)}"
    if cut:
        text += f"; {count(len(cut))} large, in {count(sum(parts[value] for value in cut))} parts"
    return text + ("" if plan.expected is None else f"; {some(plan.expected, 'record')} seen")


def _shards(plan: Plan) -> str:
    number = len(plan.sources)
    at_once = min(number, plan.limits.shards_in_flight)
    alone = ", every record an activity of its own" if plan.isolation == "record" else ""
    return f"{count(number)}, {count(at_once)} at the same time{alone}"


def _afterwards(job: JobInput) -> str:
    if not job.verify:
        return "nothing is verified"
    if job.scope.kind == "sample":
        return "nothing is verified: a sample has no end to check"
    return "a consistent read of all records in scope" + (
        ", what is behind is run once more" if job.sweep else ""
    )
