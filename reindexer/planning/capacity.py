"""What a table and its indexes can take per second, and which of them a job's limits are chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.answers import CallFailed
from reindexer.dynamo.identity import table_id
from reindexer.dynamo.table import TableClient
from reindexer.models import (
    Attributes,
    Capacity,
    CapacityInput,
    IndexCapacity,
    Operation,
    PartitionScope,
    Uses,
)
from reindexer.planning.verbs import planner_of


def uses_of(
    operation: Operation,
    attributes: Attributes,
    within: PartitionScope | None,
    *,
    writes: bool,
) -> Uses:
    """What of the table the job reads and writes. Raises `BadInput` where its job is not here.

    The function of a transform may change any attribute; a job that does something for each record, as a touch,
    writes the stamp alone.
    """
    index = within.index if within else None
    if writes and planner_of(operation).changes_any(operation):
        return Uses(reads=index)
    return Uses(reads=index, writes=[attributes.version, attributes.run] if writes else [])


def capacity_of(description: Mapping[str, Any], uses: Uses) -> Capacity:
    """From a DescribeTable answer: the table's, and that of global secondary indexes that are used.

    Provisioned capacity where there is any; else the warm throughput, which table and index take at once, held
    below the maximum that was set for an on-demand one. A write to the table is a write to each index that
    holds one of the written attributes, and waits for its capacity. Local indexes use the table's own.
    """
    billing = (description.get("BillingModeSummary") or {}).get("BillingMode")
    provisioned = billing != "PAY_PER_REQUEST" and None not in _provisioned(description)
    read, write = _units(description, provisioned=provisioned)
    indexes = []
    for index in description.get("GlobalSecondaryIndexes") or []:
        if index.get("IndexStatus") == "DELETING":
            continue
        index_read, index_write = _units(index, provisioned=provisioned)
        used = IndexCapacity(
            name=index["IndexName"],
            read=index_read if index["IndexName"] == uses.reads else None,
            write=index_write if _written(index, uses.writes) else None,
        )
        if used.read is not None or used.write is not None:
            indexes.append(used)
    return Capacity(
        capacity_mode="provisioned" if provisioned else "on-demand",
        read_capacity=read,
        write_capacity=write,
        index_capacity=indexes,
    )


def changed_capacity(request: CapacityInput, table: TableClient) -> Capacity | None:
    """The table's capacity where it is another than is known. None too where DynamoDB does not say.

    Whether another table answers to the name is found by those who read and write it.
    """
    try:
        found = table.call("describe_table", TableName=request.table)["Table"]
    except CallFailed:
        return None
    if (found["TableArn"], table_id(found)) != (request.table_arn, request.table_id):
        return None
    capacity = capacity_of(found, request.uses)
    return capacity if capacity != request.known else None


def _units(description: Mapping[str, Any], *, provisioned: bool) -> tuple[float | None, float | None]:
    """(read, write) of a table or an index; None where it is not known."""
    if provisioned:
        return _provisioned(description)
    warm = description.get("WarmThroughput") or {}
    most = description.get("OnDemandThroughput") or {}
    return (
        _lowest(warm.get("ReadUnitsPerSecond"), most.get("MaxReadRequestUnits")),
        _lowest(warm.get("WriteUnitsPerSecond"), most.get("MaxWriteRequestUnits")),
    )


def _provisioned(description: Mapping[str, Any]) -> tuple[float | None, float | None]:
    units = description.get("ProvisionedThroughput") or {}
    return _lowest(units.get("ReadCapacityUnits")), _lowest(units.get("WriteCapacityUnits"))


def _written(index: Mapping[str, Any], attributes: list[str] | None) -> bool:
    """Whether a write of these attributes changes what the index holds of a record."""
    if attributes is None or not attributes:
        return attributes is None
    projection = index.get("Projection") or {}
    if projection.get("ProjectionType") == "ALL":
        return True
    held = {key["AttributeName"] for key in index["KeySchema"]} | set(projection.get("NonKeyAttributes") or [])
    return bool(held & set(attributes))


def _lowest(*values: float | None) -> float | None:
    """The lowest of the values that say something; engines write 0 and DynamoDB −1 for "none"."""
    known = [float(value) for value in values if value is not None and value > 0]
    return min(known) if known else None
