"""Shards of the scope `partitions`: how large the partitions are, huge ones split, all dealt out."""

from __future__ import annotations

from reindexer.errors import BadInput
from reindexer.models import JobInput, Limits, PartitionRange, PartitionScope, Source
from reindexer.operations import verb_of
from reindexer.planning.facts import Described
from reindexer.planning.partitions.scope import index_warning
from reindexer.planning.partitions.sizes import looked_at
from reindexer.planning.sizing import BYTES_OF_KEYS, MAX_SHARDS, partition_shards

#: Parts of one huge partition: its 1,000 write units a second are far below what as many shards can do.
_MAX_PARTS = 32


def plan_partitions(
    scope: PartitionScope,
    values: list[str],
    job: JobInput,
    described: Described,
    limits: Limits,
    run: str,
) -> tuple[list[Source], list[str]]:
    """(one source per shard, warnings): each partition looked at, and dealt to shards.

    A dry run and a verification read what there is one after another: for them nothing is looked at. Of a
    comparison the first table's partitions are, and both are read by the same parts.

    Raises `BadInput`, `Refused`, `EnvironmentFault`.
    """
    warnings = index_warning(scope, described)
    parts = [PartitionRange(value=value) for value in values]
    _check_length(parts)
    ranges = [(part, False) for part in parts]
    verb = verb_of(job.operation)
    if not job.dry_run and (verb.writes or verb.compares):
        rate = limits.read_units_per_second
        sizes = looked_at(
            described.table,
            scope,
            values,
            wanted=job.total_segments or MAX_SHARDS,
            most_parts=job.total_segments or _MAX_PARTS,
            rate=rate if isinstance(rate, float | int) else None,
        )
        ranges, warnings = sizes.ranges, [*warnings, *sizes.warnings]
    total = 1 if job.dry_run else job.total_segments
    return list(partition_shards(ranges, total, run)), warnings


def _check_length(parts: list[PartitionRange]) -> None:
    size = 0
    for taken, part in enumerate(parts):
        size += len(part.model_dump_json().encode()) + 1  # and a comma
        if size > BYTES_OF_KEYS:
            raise BadInput(
                f"{len(parts)} values are too long together; the first {taken} fit one job: split the list",
                "scope.values",
            )
