"""What a plan decides, line by line, for people: the terminal and the Web UI show the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from reindexer.models import (
    JobInput,
    Lineages,
    OtherTable,
    PartitionRanges,
    PartitionScope,
    Plan,
    Quarantined,
    SampledSegments,
    SearchIndex,
    Segment,
)
from reindexer.units import POLLS_A_DAY, READ_UNIT, units_of_copy
from reindexer.words import count, size, some


def plan_rows(plan: Plan, job: JobInput, own_queue: str | None) -> Iterator[tuple[str, str]]:
    """(what, how it is decided) for people. `own_queue`: of the workers that the job has of its own."""
    target, about = plan.target, plan.facts
    yield "account", about.account or "not known"
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
    yield "operation", f"{target.operation.words}: {plan.verb.does}"
    yield "target", _target(plan, job)
    if target.other is not None and not target.other.table_arn:
        yield "creates", _created(plan, target.other)
    if plan.target.within is not None:
        yield "partitions", _partitions(plan, plan.target.within)
    yield "shards", _shards(plan)
    if followed := [source for source in plan.sources if isinstance(source, Lineages)]:
        yield "follows", _lineages(followed)
        if plan.verb.copies and plan.other_facts is not None:
            yield "", f"a million changes write about {count(_units_there(plan) * 1_000_000)} write units there"
    yield "limits", plan.limits_from or "none"
    if target.writer != "none":
        yield "parks", f"once more than {some(plan.limits.quarantined, 'record')} had to be given up"
    writer = {
        "partiql": "conditional PartiQL batches",
        "update_item": "one record a call, conditionally",
        "bulk": f"bulk requests to {target.search.search}" if target.search else "",
        "none": "a temporary index, which is removed" if plan.verb.makes_index else "none: it only reads",
    }[target.writer]
    written = target.other if plan.verb.writes_other and target.writer != "none" else None
    yield "writer", writer if written is None else f"{writer}, to {written.table}"
    if written is not None and plan.other_facts is not None:
        safe = plan.other_facts.point_in_time_recovery
        if safe is not None:
            yield "", f"{written.table} has {'' if safe else 'no '}point-in-time recovery"
    yield "permissions", _permissions(plan, written)
    if own_queue:
        yield "workers", f"the job's own, on task queue {own_queue}"
    if plan.verb.in_place or not (plan.verb.writes or plan.verb.compares):
        yield "afterwards", _afterwards(job)
    if plan.verb.makes_index and target.writer != "none":
        yield "afterwards", _afterwards_readers(job, follows=bool(followed))
    if plan.verb.copies and not plan.verb.rewrites:
        yield "afterwards", _afterwards_replica(plan, job, follows=bool(followed))


def _permissions(plan: Plan, written: OtherTable | None) -> str:
    """What planning has tried: it refuses a job that lacks one. `written`: another table that is written to."""
    target, writes = plan.target, "reading and conditional writes"
    tried = [(target.table, writes if plan.verb.in_place and target.writer != "none" else "reading")]
    if target.other is not None and target.other.table_arn:
        tried.append((target.other.table, writes if written else "reading"))
    of_each = "; ".join(f"{what} of {table}" for table, what in tried)
    return f"{of_each}; each was tried, and changed nothing"


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
    if plan.verb.copies and plan.target.other is not None:
        return _replica(plan, plan.target.other)
    if plan.target.other is not None:
        return _other(plan, plan.target.other)
    if plan.verb.compares and plan.target.search is not None:
        return _compared_index(plan, plan.target.search)
    if plan.target.search is not None:
        return _index(plan, plan.target.search)
    if not plan.verb.stamps:
        return f"neither {plan.target.attributes.version} nor {plan.target.attributes.run} in any record"
    version = f"version {plan.target.version} in {plan.target.attributes.version}"
    if not plan.verb.writes:
        return f"{version}: how many records are behind it"
    if isinstance(job.scope, Quarantined) or job.operation.version not in (None, "next"):
        return version
    chosen = "one above the highest recorded" if job.operation.version == "next" else "the start time in ms"
    return f"{version} ({chosen})"


def _lineages(followed: list[Lineages]) -> str:
    """What is read of the stream, and what polling costs."""
    shards = sum(len(source.reading) for source in followed)
    reads, own = POLLS_A_DAY * shards, "its" if shards == 1 else "their"
    return (
        f"{some(shards, 'stream shard')} from {own} beginning, and {own} descendants; idle about "
        f"{count(reads)} stream read units a day"
    )


def _index(plan: Plan, search: SearchIndex) -> str:
    """The index, how it is created, and what reading the table costs."""
    if plan.verb.rewrites:
        return f"index {search.index}, which the readers of {search.alias} have; each record is read twice"
    units = count(max(1, math.ceil(plan.facts.size_bytes / READ_UNIT)))
    text = f"index {search.index}, for the readers of {search.alias}; reads about {units} read units"
    if plan.creation is None:
        return text
    fields = len(plan.creation.mappings.get("properties", {}))
    made = "made from a sample of the records" if plan.creation.made_from_sample else "as given"
    return f"{text}; mapping {made}, {some(fields, 'field')}"


def _compared_index(plan: Plan, search: SearchIndex) -> str:
    """The index that is compared, and what reading the table costs."""
    text = f"compared with index {search.index}"
    text += f", by what lasts longer than {search.lag_seconds:g} s" if search.lag_seconds else ""
    if not any(isinstance(source, Segment) for source in plan.sources):
        return text
    units = count(2 * max(1, math.ceil(plan.facts.size_bytes / READ_UNIT)))
    return f"{text}; reads each record by itself and each document's: about {units} read units"


def _replica(plan: Plan, other: OtherTable) -> str:
    """The replica, and what writing it costs."""
    ways = (("at", other.endpoint), ("by", other.role_arn))
    text = f"copied to {other.table} in {other.region}"
    text += "".join(f", {word} {value}" for word, value in ways if value)
    if plan.verb.rewrites:
        both = ", and so are records that only the replica has" if other.same_partitions else ""
        return f"{text}; each record is read twice{both}"
    reads = count(max(1, math.ceil(plan.facts.size_bytes / READ_UNIT)))
    writes = count(max(1, plan.facts.items * _units_there(plan)))
    held = "; what it holds besides is removed" if plan.refilled else ""
    return (
        f"{text}; reads about {reads} read units here and writes {writes} write units there, with indexes{held}"
    )


def _units_there(plan: Plan) -> int:
    """Write units that a record takes in a replica, each index as many again."""
    indexes = plan.other_facts.indexes if plan.other_facts else []
    return units_of_copy(plan.facts.size_bytes, plan.facts.items) * (1 + len(indexes))


def _created(plan: Plan, other: OtherTable) -> str:
    """A table that is not there yet: as the one that it is a copy of, but for its time to live."""
    key = ", ".join(f"{attribute.name} ({attribute.type})" for attribute in plan.target.key)
    capacity = plan.facts.capacity_mode + _capacity(plan)
    indexes = f"indexes {', '.join(plan.facts.indexes)}" if plan.facts.indexes else "no indexes"
    return f"{other.table} when the job starts: key {key}, {indexes}, {capacity}, TTL by {other.ttl}"


def _other(plan: Plan, other: OtherTable) -> str:
    """The table that is compared, and what reading both costs."""
    facts = plan.other_facts
    ways = (("at", other.endpoint), ("by", other.role_arn))
    text = f"compared with {other.table} in {other.region}"
    text += "".join(f", {word} {value}" for word, value in ways if value)
    text += f", by what lasts longer than {other.lag_seconds:g} s" if other.lag_seconds else ""
    sampled = [source for source in plan.sources if isinstance(source, SampledSegments)]
    if sampled:
        read = sum(len(source.segments) for source in sampled)
        keys = some(sum(source.enough for source in sampled), "key")
        return f"{text}: about {keys}, of at most {count(read)} of {count(sampled[0].total)} segments of both"
    if facts is None or not any(isinstance(source, Segment) for source in plan.sources):
        return text
    units = [max(1, math.ceil(read.size_bytes / READ_UNIT)) for read in (plan.facts, facts)]
    return (
        f"{text}: about {some(facts.items, 'record')}; reads about {count(units[0])} read units here and "
        f"{count(units[1])} there, three more units for each key that differs"
    )


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
    in_flight = min(number, plan.limits.shards_in_flight)
    alone = ", every record an activity of its own" if plan.isolation == "record" else ""
    return f"{count(number)}, {count(in_flight)} at the same time{alone}"


def _afterwards_readers(job: JobInput, *, follows: bool) -> str:
    checks = "the documents are counted and a sample of them compared" if job.verify else "nothing is verified"
    if job.verify == "complete":
        checks = "every document is compared with its record, and what differs is written again"
    if follows:
        checks = "once it is drained the documents are counted"
        if job.verify == "complete":
            checks = "once it is drained every document and every record is compared"
    readers = job.operation.readers
    alias = readers.address.alias if readers else "the alias"
    if readers is None or readers.move_alias == "complete":
        return f"{checks}; {alias} moves to the index if it is complete"
    moves = "moves to the index in any case" if readers.move_alias == "always" else "stays where it is"
    return f"{checks}; {alias} {moves}"


def _afterwards_replica(plan: Plan, job: JobInput, *, follows: bool) -> str:
    sampled = [source.enough for source in plan.checks if isinstance(source, SampledSegments)]
    checks = "nothing is compared"
    if plan.checks:
        checks = "all of both tables are compared"
    if sampled:
        checks = f"a sample of up to {count(sum(sampled))} records is compared"
    if not follows or not job.verify:
        return checks
    drained = f"once it is drained {checks}" if plan.checks else checks
    return f"{drained}; `cancel --drained` compares all of both tables"


def _afterwards(job: JobInput) -> str:
    if not job.verify:
        return "nothing is verified"
    if job.scope.kind == "sample":
        return "nothing is verified: a sample has no end to check"
    return "a consistent read of all records in scope" + (
        ", what is behind is run once more" if job.sweep else ""
    )
