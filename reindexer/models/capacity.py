"""What a table and its indexes can take per second, and the limits of a job that follow from it."""

from __future__ import annotations

import operator
from typing import Literal

from pydantic import Field

from reindexer.models.job_input import Limits
from reindexer.models.model import Model

#: The part of a capacity that a job takes unasked: the table's own traffic keeps the other half.
_SHARE = 0.5


class IndexCapacity(Model):
    """Of a global secondary index that a job reads or writes; None: not known, or it does not."""

    name: str
    read: float | None = None
    write: float | None = None


class Capacity(Model):
    """Units per second, as far as DynamoDB says them. A local index has the table's own."""

    capacity_mode: Literal["on-demand", "provisioned"] = "on-demand"
    read_capacity: float | None = None
    write_capacity: float | None = None
    index_capacity: list[IndexCapacity] = Field(default=[], exclude_if=operator.not_)

    def smallest(self, unit: Literal["read", "write"]) -> tuple[float | None, str | None]:
        """(the smallest capacity that counts, its index; None: it is the table's own, or none is known)."""
        found = [(getattr(index, unit), index.name) for index in self.index_capacity]
        known = [(units, name) for units, name in found if units is not None]
        own: float | None = getattr(self, f"{unit}_capacity")
        least = min(known, default=None)
        return least if least is not None and (own is None or least[0] < own) else (own, None)


class Uses(Model):
    """What of a table a job uses besides the table itself. `writes` None: it may write any attribute."""

    reads: str | None = None  # the index that names the records
    writes: list[str] | None = None


def chosen(
    limits: Limits,
    capacity: Capacity,
    other: Capacity | None = None,
    *,
    writes_other: bool = False,
    writes_index: bool = False,
) -> tuple[Limits, str]:
    """The limits with a number or "unlimited" in each field, and where they come from, for people.

    A limit that is not given is half of the smallest capacity that its units are taken from. Units are counted
    with indexes, so whatever part of them goes to one index, that index keeps the other half of its capacity.
    `other`: of a second table, which is read, and written instead of the first with `writes_other`. With
    `writes_index` no table is written.
    """
    resolved: dict[str, float | Literal["unlimited"]] = {}
    words = []
    units: Literal["read", "write"]
    for units in ("read", "write"):
        name = f"{units}_units_per_second"
        given = getattr(limits, name)
        used = other if other is not None and writes_other and units == "write" else capacity
        source = "provisioned capacity" if used.capacity_mode == "provisioned" else "warm throughput"
        most, index = used.smallest(units)
        if given is not None:
            resolved[name] = given
            words.append(f"{units} {_shown(given)} as given")
        elif most is None:
            resolved[name] = "unlimited"
            whose = "the other table's" if used is other else "the table's"
            words.append(f"{units} unlimited, {whose} capacity is not known")
        else:
            resolved[name] = most * _SHARE
            of = f" of index {index}, the smallest that is {_TAKEN[units]}" if index else ""
            words.append(f"{units} {most * _SHARE:g}/s, half of the {source} of {most:g}{of}")
    if other is not None:
        alone, text = chosen(Limits(read_units_per_second=limits.other_read_units_per_second), other)
        resolved["other_read_units_per_second"] = alone.read_units_per_second or "unlimited"
        words.append("of the other table " + text.split("; ", 1)[0])
    if writes_index:
        resolved["write_units_per_second"] = "unlimited"  # of none
        words.pop()
        resolved["bytes_per_second"] = limits.bytes_per_second or "unlimited"
        if limits.bytes_per_second is not None:
            words.append(f"documents {_shown(limits.bytes_per_second)} bytes as given")
    records = limits.records_per_second
    resolved["records_per_second"] = "unlimited" if records is None else records
    if records is not None:
        words.append(f"records {_shown(records)} as given")
    return limits.model_copy(update=resolved), "; ".join(words)


_TAKEN = {"read": "read", "write": "written with the table"}


def _shown(rate: float | Literal["unlimited"]) -> str:
    return rate if isinstance(rate, str) else f"{rate:g}/s"
