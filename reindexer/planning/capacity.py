"""What the table can take per second, and what of it a job may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from reindexer.models import Limits, TableFacts

#: The part of a table's capacity a job takes unasked: the table's own traffic keeps the other half.
_SHARE = 0.5


def capacity_of(
    description: Mapping[str, Any],
) -> tuple[Literal["on-demand", "provisioned"], float | None, float | None]:
    """(mode, read units, write units per second) from a DescribeTable answer; None where it does not say.

    Provisioned capacity where there is any; else the warm throughput, which the table takes at once, held
    below the maximum that was set for an on-demand table.
    """
    provisioned = description.get("ProvisionedThroughput") or {}
    billing = (description.get("BillingModeSummary") or {}).get("BillingMode")
    read, write = provisioned.get("ReadCapacityUnits") or 0, provisioned.get("WriteCapacityUnits") or 0
    if billing != "PAY_PER_REQUEST" and read > 0 and write > 0:
        return "provisioned", float(read), float(write)
    warm = description.get("WarmThroughput") or {}
    most = description.get("OnDemandThroughput") or {}
    return (
        "on-demand",
        _lowest(warm.get("ReadUnitsPerSecond"), most.get("MaxReadRequestUnits")),
        _lowest(warm.get("WriteUnitsPerSecond"), most.get("MaxWriteRequestUnits")),
    )


def _lowest(*values: float | None) -> float | None:
    """The lowest of the values that say something; engines write 0 and DynamoDB −1 for "none"."""
    known = [float(value) for value in values if value is not None and value > 0]
    return min(known) if known else None


def resolved(limits: Limits, facts: TableFacts) -> tuple[Limits, str]:
    """The limits with a number or "unlimited" in each field, and where they come from, for people."""
    source = "provisioned capacity" if facts.capacity_mode == "provisioned" else "warm throughput"
    chosen: dict[str, float | Literal["unlimited"]] = {}
    words = []
    for unit, capacity in (("read", facts.read_capacity), ("write", facts.write_capacity)):
        name = f"{unit}_units_per_second"
        given = getattr(limits, name)
        if given is not None:
            chosen[name] = given
            words.append(f"{unit} {_shown(given)} as given")
        elif capacity is None:
            chosen[name] = "unlimited"
            words.append(f"{unit} unlimited, the table's capacity is not known")
        else:
            chosen[name] = capacity * _SHARE
            words.append(f"{unit} {capacity * _SHARE:g}/s, half of the {source} of {capacity:g}")
    records = limits.records_per_second
    chosen["records_per_second"] = "unlimited" if records is None else records
    if records is not None:
        words.append(f"records {_shown(records)} as given")
    return limits.model_copy(update=chosen), "; ".join(words)


def _shown(rate: float | Literal["unlimited"]) -> str:
    return rate if isinstance(rate, str) else f"{rate:g}/s"
