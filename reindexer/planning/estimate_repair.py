"""The estimate of a repair: a comparison and writes to the other table; or a scan that fills an empty one.

A replica is such a one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reindexer.models import Limits
from reindexer.planning.estimate import (
    PARTITION_READS,
    PARTITION_WRITES,
    Estimate,
    IndexWrites,
    count_actions,
    rate,
    slowest,
)
from reindexer.planning.estimate_following import following
from reindexer.settings import Settings
from reindexer.units import COPY_BYTES, READ_UNIT, WRITE_UNIT

#: Consistent reads of either table for a key that differs: two to confirm it, one before it is written.
_READS_PER_KEY = 3


@dataclass(frozen=True, slots=True)
class RepairInput:
    """What is written. `records`: how many keys differ, or None: as many as the tables' counts say at least.

    `other`: DescribeTable's `Table` of the one that is written. `backfill`: it is empty, nothing is compared.
    `added`: bytes that a copy has more.
    """

    other: Mapping[str, Any]
    records: int | None = None
    backfill: bool = False
    added: int = 0


def estimate_replica(
    compared: Estimate, other: Mapping[str, Any], chosen: Settings, changes: int | None = None
) -> Estimate:
    """Estimate the backfill of an empty replica, and a day of following, from the comparison of both tables.

    `other`: DescribeTable's `Table` of the replica, or of the table that it is going to be made like.
    `changes`: of the table, a day.
    """
    filled = estimate_repair(compared, RepairInput(other, backfill=True, added=COPY_BYTES), chosen)
    prices = filled.prices
    return filled.model_copy(
        update={
            "operation": "replicate",
            "following": following(filled.write_units_per_record, prices.write_units, prices.actions, changes),
            "notes": [
                *compared.notes[:-2],
                "the replica is taken to be empty: a row that is there costs a refused insertion, a read and a "
                "write",
                compared.notes[-1],
            ],
        }
    )


def estimate_repair(compared: Estimate, asked: RepairInput, chosen: Settings) -> Estimate:
    """Estimate a repair that meets no trouble, from the comparison of both tables."""
    assert compared.other is not None, "compared with what?"
    records = _records(compared, asked)
    item = compared.item_bytes or _average(compared.other.size_bytes, compared.other.items)
    indexes = list(_indexes(asked.other))
    written = item + asked.added
    of_table = float(max(1, math.ceil(written / WRITE_UNIT)))
    each = of_table + sum(index.units for index in indexes)
    again = 0.0 if asked.backfill else records * _READS_PER_KEY * max(1, math.ceil(item / READ_UNIT))
    units = (compared.read_units + again, 0.0 if asked.backfill else compared.other.read_units + again)
    work, bound, phases = _times(compared, asked, records, (of_table, each), units)
    actions = count_actions(phases, compared.limits.shards_in_flight, chosen)
    prices = compared.prices
    return compared.model_copy(
        update={
            "operation": "repair",
            "records": records,
            "indexes": indexes,
            "write_units_per_record": each,
            "write_units": records * each,
            # Whatever the sizes are, rounding up adds less than one unit a record.
            "write_units_at_most": records * (min(of_table, written / WRITE_UNIT) + 1 + each - of_table),
            "read_units": units[0],
            "other": compared.other.model_copy(update={"read_units": units[1]}),
            "work_seconds": work,
            "bound": bound,
            "actions": actions,
            "actions_total": actions.total,
            "dollars": {
                "write": records * each / 1e6 * prices.write_units,
                "read": sum(units) / 1e6 * prices.read_units,
                "temporal_cloud": actions.total / 1e6 * prices.actions,
            },
            "notes": [*compared.notes[:-2], *_notes(asked), compared.notes[-1]],
        }
    )


def _records(compared: Estimate, asked: RepairInput) -> int:
    assert compared.other is not None, "compared with what?"
    if asked.backfill:
        return compared.items if asked.records is None else min(asked.records, compared.items)
    if asked.records is None:
        return abs(compared.items - compared.other.items)
    return min(asked.records, compared.items + compared.other.items)  # no key is in either table more than once


def _times(
    compared: Estimate,
    asked: RepairInput,
    records: int,
    each: tuple[float, float],
    units: tuple[float, float],
) -> tuple[float, str, list[tuple[int, float]]]:
    """(seconds, what decides them, shards and seconds of each phase). `each`: write units, table's and all."""
    limits: Limits = compared.limits
    shards = compared.shards if asked.backfill else min(compared.shards, records)
    in_flight = max(1, min(shards, limits.shards_in_flight))
    limited = {
        "the budget of write units": records * each[1] / rate(limits.write_units_per_second),
        "the budget of records": records / rate(limits.records_per_second),
        f"partitions, {in_flight} at a time": records * each[0] / (PARTITION_WRITES * in_flight),
    }
    if asked.backfill:
        limited["the budget of read units"] = units[0] / rate(limits.read_units_per_second)
        limited["reads of partitions"] = units[0] / (PARTITION_READS * in_flight)
        seconds, bound = slowest(limited)
        return seconds, bound, [(shards, seconds)]
    seconds, bound = slowest(limited)
    comparing = compared.work_seconds
    longer = bound if seconds > comparing else compared.bound
    return comparing + seconds, longer, [(compared.shards, comparing), (shards, seconds)]


def _indexes(described: Mapping[str, Any]) -> Iterator[IndexWrites]:
    """All indexes of the other table: a record that is created may be in any of them."""
    items = int(described.get("ItemCount") or 0)
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        for index in described.get(kind) or []:
            held = int(index.get("ItemCount") or 0)
            part = min(1.0, held / items) if items else 1.0
            entry = _average(int(index.get("IndexSizeBytes") or 0), held)
            units = part * max(1, math.ceil(entry / WRITE_UNIT))
            yield IndexWrites(name=index["IndexName"], units=units, why="holds what is written")


def _average(size: int, items: int) -> float:
    return size / items if items else 0.0


def _notes(asked: RepairInput) -> Iterator[str]:
    if asked.backfill:
        yield "the other table is taken to be empty: what is not lets the job be refused"
        return
    if asked.records is None:
        yield (
            "as many keys are taken to differ as the counts of the tables do: more may, say how many with "
            "--records; `reindexer compare` finds out"
        )
    yield "a key that changes while it is compared or repaired costs more reads"
