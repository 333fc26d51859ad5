"""Units, duration, Temporal Actions and dollars of a job, computed from a DescribeTable answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reindexer.models import Attributes, Limits, Model, TableFacts
from reindexer.planning.estimate_following import Following
from reindexer.planning.sizing import segments
from reindexer.settings import Settings
from reindexer.units import READ_UNIT, WRITE_UNIT

#: Write and read units that one partition takes per second (DynamoDB's limit). A shard is in one at a time.
PARTITION_WRITES, PARTITION_READS = 1000.0, 3000.0
#: Values of the two attributes: 13 digits of milliseconds take 8 bytes, a run's stamp has 10 characters.
_VERSION_BYTES, _RUN_BYTES = 8, 10
#: Write units of the ledger a record of an unstamp: a digest of 8 bytes is kept, and dropped again.
_LEDGER_UNITS = 0.02

#: Seconds of a shard's first round, on average over the shards.
_FIRST_ROUND_SECONDS = 4.75
#: Rows of a verifying shard.
ROWS_PER_VERIFYING_SHARD = 150_000
#: A look at the shards is due when the job has grown older by this part, and after this many seconds at most.
LOOK_PART_OF_AGE, LONGEST_LOOK_SECONDS = 1 / 60, 300.0
#: Actions of a job of any size: its start, five search attribute updates, a memo, and ten activities for plan,
#: lock, reports and clearing up.
_ACTIONS_PER_JOB = 17
#: Seconds between two heartbeats of a round, at least; and at most this part of the heartbeat time-out.
MIN_BETWEEN_HEARTBEATS, _PART_OF_TIMEOUT = 0.4, 0.8
_EVENTS_PER_LOOK = 6  # of the root's history
_EVENTS_PER_SHARD = 7  # three of its own, and half of two workflow tasks' three and of its neighbours'


class Prices(Model):
    """List prices in US dollars, for a million each."""

    write_units: float
    read_units: float
    #: https://docs.temporal.io/cloud/pricing, November 2026: pay-as-you-go, before volume discounts.
    actions: float = 50.0


#: https://aws.amazon.com/dynamodb/pricing/on-demand, us-east-1, Standard table class, since November 2024.
ON_DEMAND = Prices(write_units=0.625, read_units=0.125)
#: https://aws.amazon.com/dynamodb/pricing/provisioned, us-east-1, Standard table class, 2025: $0.00065 and
#: $0.00013 for an hour of one unit a second, which is 3,600 units where all of it is used.
PROVISIONED = Prices(write_units=0.00065 / 3600 * 1e6, read_units=0.00013 / 3600 * 1e6)


class IndexWrites(Model):
    """What a touch writes to one index. `units`: write units a record, on average over the table's records."""

    name: str
    units: float
    why: str


class Actions(Model):
    """Temporal Actions, by what causes them."""

    heartbeats: int
    rounds: int
    shards: int
    looks: int
    job: int

    @property
    def total(self) -> int:
        return self.heartbeats + self.rounds + self.shards + self.looks + self.job


class OtherReads(Model):
    """What a comparison reads of the other table."""

    table: str
    items: int
    size_bytes: int
    read_units: float


class Estimate(Model):
    """The numbers of one job. `write_units`: without replicas, ledger. `bound`: what decides `work_seconds`."""

    table: str
    operation: str
    items: int
    size_bytes: int
    item_bytes: float
    records: int
    indexes: list[IndexWrites]
    write_units_per_record: float
    write_units: float
    write_units_at_most: float
    ledger_write_units: float = 0.0  # for its digests; what any job keeps of itself is left out
    read_units: float
    other: OtherReads | None = None  # that is compared
    verify_units: float
    limits: Limits
    shards: int
    work_seconds: float
    bound: str
    verify_seconds: float
    actions: Actions
    actions_total: int
    prices: Prices
    dollars: dict[str, float]
    following: Following | None = None  # of what the table's stream may be carried to
    notes: list[str]


@dataclass(frozen=True, slots=True)
class EstimateInput:
    """What the job is to be. `records`: how many it writes; None: all. `deletes`: it reads consistently.

    `unstamp`: it removes the two attributes from records that carry them, and reads consistently too.
    """

    attributes: Attributes
    limits: Limits  # resolved: numbers or "unlimited"
    records: int | None = None
    verify: bool = True
    deletes: bool = False
    unstamp: bool = False


def estimate(
    description: Mapping[str, Any],
    facts: TableFacts,
    asked: EstimateInput,
    chosen: Settings,
    prices: Prices,
) -> Estimate:
    """Estimate a job that meets no trouble. `description`: DescribeTable's `Table`."""
    items, size = facts.items, facts.size_bytes
    records = items if asked.records is None else min(asked.records, items)
    item_bytes = size / items if items else 0.0
    added = 0  # bytes: what is removed is part of the items now, and the larger size is charged
    if not asked.unstamp:
        added = len(asked.attributes.version.encode()) + len(asked.attributes.run.encode())
        added += _VERSION_BYTES + _RUN_BYTES
    indexes = list(_indexes(description, items, added, asked.attributes))
    of_indexes = sum(index.units for index in indexes)
    of_table = float(max(1, math.ceil((item_bytes + added) / WRITE_UNIT)))
    write_units = records * (of_table + of_indexes)
    # Whatever the sizes are, rounding up adds less than one unit a record.
    at_most = records * (min(of_table, (item_bytes + added) / WRITE_UNIT) + 1 + of_indexes)
    consistent = size / READ_UNIT
    read_units = consistent if asked.deletes or asked.unstamp else consistent / 2
    ledger_units = records * _LEDGER_UNITS if asked.unstamp else 0.0
    shards = len(segments(items, size, None, ""))
    in_flight = min(shards, asked.limits.shards_in_flight)
    work_seconds, bound = slowest(
        {
            "the budget of write units": write_units / rate(asked.limits.write_units_per_second),
            "the budget of read units": read_units / rate(asked.limits.read_units_per_second),
            "the budget of records": records / rate(asked.limits.records_per_second),
            f"partitions, {in_flight} at a time": max(
                records * of_table / (PARTITION_WRITES * in_flight), read_units / (PARTITION_READS * in_flight)
            ),
        }
    )
    verify_units, verify_seconds, verifying = 0.0, 0.0, 0
    if asked.verify:
        verifying = min(max(1, math.ceil(items / ROWS_PER_VERIFYING_SHARD)), shards)
        verify_units = consistent
        verify_seconds = max(
            verify_units / rate(asked.limits.read_units_per_second),
            verify_units / (PARTITION_READS * min(verifying, asked.limits.shards_in_flight)),
        )
    phases = [(shards, work_seconds), (verifying, verify_seconds)]
    actions = count_actions(phases, asked.limits.shards_in_flight, chosen)
    return Estimate(
        table=str(description["TableName"]),
        operation="unstamp" if asked.unstamp else "touch",
        items=items,
        size_bytes=size,
        item_bytes=item_bytes,
        records=records,
        indexes=indexes,
        write_units_per_record=of_table + of_indexes,
        write_units=write_units,
        write_units_at_most=at_most,
        ledger_write_units=ledger_units,
        read_units=read_units,
        verify_units=verify_units,
        limits=asked.limits,
        shards=shards,
        work_seconds=work_seconds,
        bound=bound,
        verify_seconds=verify_seconds,
        actions=actions,
        actions_total=actions.total,
        prices=prices,
        dollars={
            "write": (write_units + ledger_units) / 1e6 * prices.write_units,
            "read": (read_units + verify_units) / 1e6 * prices.read_units,
            "temporal_cloud": actions.total / 1e6 * prices.actions,
        },
        notes=list(notes(description, facts)),
    )


def count_actions(phases: list[tuple[int, float]], in_flight: int, chosen: Settings) -> Actions:
    """Count the Actions of a job whose phases are (shards, seconds)."""
    interval = min(chosen.heartbeat_interval, _PART_OF_TIMEOUT * chosen.heartbeat_timeout)
    interval = max(interval, MIN_BETWEEN_HEARTBEATS)
    heartbeats = rounds = 0.0
    for shards, seconds in phases:
        running = min(shards, in_flight)
        heartbeats += seconds * running / interval
        if shards:
            each = seconds * running / shards  # seconds of one shard
            rounds += shards * (1 + math.ceil(max(0.0, each - _FIRST_ROUND_SECONDS) / chosen.round_seconds))
    shards, seconds = sum(number for number, _ in phases), sum(lasting for _, lasting in phases)
    looks = _looks(seconds, chosen.look_seconds)
    events = looks * _EVENTS_PER_LOOK + shards * _EVENTS_PER_SHARD
    cycles = events // chosen.cycle_events if chosen.cycle_events else 0
    running = min(max((number for number, _ in phases), default=0), in_flight)
    return Actions(
        heartbeats=math.ceil(heartbeats),
        rounds=2 * int(rounds),  # an activity, and what the shard has come to in its memo
        shards=3 * shards + 3 * running * cycles,  # two for a start, and its first memo; a signal to hand back
        looks=2 * looks,  # an activity of two attempts
        job=_ACTIONS_PER_JOB + 3 * cycles,  # continue as new, a report, a search attribute
    )


def _looks(seconds: float, first: float) -> int:
    """How often a job of that age has looked at its shards."""
    young = first / LOOK_PART_OF_AGE  # up to that age the interval is the first one
    old = LONGEST_LOOK_SECONDS / LOOK_PART_OF_AGE
    looks = min(seconds, young) / first
    if seconds > young:
        looks += math.log(min(seconds, old) / young) / LOOK_PART_OF_AGE
    return int(looks + max(0.0, seconds - old) / LONGEST_LOOK_SECONDS)


def slowest(seconds: Mapping[str, float]) -> tuple[float, str]:
    """The longest of some times, and what takes it."""
    bound = max(seconds, key=lambda name: seconds[name])
    return seconds[bound], bound


def rate(limit: float | str | None) -> float:
    """A limit as a number."""
    return float("inf") if limit is None or isinstance(limit, str) else limit


def _indexes(
    description: Mapping[str, Any], items: int, added: int, attributes: Attributes
) -> Iterator[IndexWrites]:
    """The indexes that a touch writes to: those that project one of its two attributes, or have it as a key.

    `added` 0: an unstamp, which deletes an entry whose key it removes, in one write.
    """
    ours = {attributes.version, attributes.run}
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        for index in description.get(kind) or []:
            projection = index.get("Projection") or {}
            projected = projection.get("ProjectionType") == "ALL" or ours & set(
                projection.get("NonKeyAttributes") or []
            )
            moved = ours & {entry["AttributeName"] for entry in index["KeySchema"]}
            if not projected and not moved:
                continue
            held = int(index.get("ItemCount") or 0)
            part = 1.0 if (moved and added) or not items else min(1.0, held / items)
            entry = int(index.get("IndexSizeBytes") or 0) / held if held else 0.0
            units = max(1, math.ceil((entry + added) / WRITE_UNIT)) * (2 if moved and added else 1)
            why = "its key is removed" if moved else "projects what is removed"
            if added:
                why = "its key changes: two writes" if moved else "projects what is written"
            yield IndexWrites(name=index["IndexName"], units=part * units, why=why)


def notes(description: Mapping[str, Any], facts: TableFacts) -> Iterator[str]:
    """What whoever reads the figures has to know."""
    yield "ItemCount and TableSizeBytes are up to six hours old; every item is taken to be of average size"
    yield "workers are taken to keep up, and nothing to fail: a run over --sample records shows what they do"
    if not facts.items:
        yield "DynamoDB reports 0 items: for a new table or new items the count comes within six hours"
    if facts.capacity_mode == "on-demand" and facts.write_capacity is None:
        yield "the table's warm throughput is not known; a new on-demand table starts at 4,000 write units/s"
    if facts.capacity_mode == "provisioned":
        yield "provisioned capacity is billed by the hour, used or not: dollars are for the part the job uses"
    if replicas := len(description.get("Replicas") or []):
        yield f"a global table: each write is charged in each of its {replicas} replicas too"
    if (description.get("TableClassSummary") or {}).get("TableClass") == "STANDARD_INFREQUENT_ACCESS":
        yield "the table class Standard-IA has higher prices: give them with --write-price and --read-price"
