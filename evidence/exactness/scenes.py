"""Where a job runs: a table with its keys, the part of it that the job is for, and faults that never end."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from testbed.faults import Fault, FaultKind

Item = dict[str, Any]
Faults = tuple[Fault, ...]
_TENANTS = 10
_NAMED_TENANTS = 7  # of them; the rest has to stay as it is
_ABSENT = 20  # keys that are named and not there
_SAMPLE_PART = 5  # a sample is a fifth of the table
_REDRIVEN_EACH = 25  # each 25th record was given up by the job before: one activity for each takes its time
_LAG_SECONDS = 10.0  # whoever goes on after a crash, some 7 s later, still sees what was there before it


@dataclass(frozen=True)
class Scene:
    """`key` and `more` make a row's key and what it has besides, for boto3.

    `covers`: whether the job is for a row. `scope` is its input, by number of records in the table.
    """

    name: str
    types: Mapping[str, str] = field(default_factory=lambda: {"id": "S"})  # partition key, then sort key
    key: Callable[[int], Item] = lambda number: {"id": {"S": record_name(number)}}
    more: Callable[[int], Item] = lambda _number: {}
    index: str | None = None  # a global index whose partition key is `tenant`
    scope: Callable[[int], Mapping[str, Any]] = lambda _records: {"kind": "complete"}
    covers: Callable[[int], bool] = lambda _number: True
    sample: bool = False  # any fifth of the table, and no verification
    redrive: bool = False  # what an earlier job gave up
    vanished: int = 0  # records that the job is given and that are not there
    partitions: bool = False  # the report has a total for each tenant
    standing: Callable[[str], Faults] = lambda _table: ()  # of the table, beside the faults of the cell

    def numbers(self, records: int) -> list[int]:
        """The records that the job is for; of a sample all that it may be for."""
        return [number for number in range(records) if self.covers(number)]

    @staticmethod
    def sampled(records: int) -> int:
        """Records in a sample."""
        return records // _SAMPLE_PART


def record_name(number: int) -> str:
    """The key of a made-up record."""
    return f"row-{number:06}"


def tenant(number: int) -> str:
    """Whose record it is: ten in a row are one tenant's, so that each tenant has some that are left alone."""
    return f"tenant-{number // 10 % _TENANTS}"


def wire(key: Mapping[str, Any]) -> Item:
    """A key as the wire has it: binary as base64."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value
        for name, value in key.items()
    }


def _is_named(number: int) -> bool:
    return number // 10 % _TENANTS < _NAMED_TENANTS


def _tenants(_records: int) -> Item:
    named = [f"tenant-{number}" for number in range(_NAMED_TENANTS)]
    return {"kind": "partitions", "values": [*named, "tenant-that-has-none"]}


def _keys(records: int) -> Item:
    numbers = [*range(0, records, 2), *range(records, records + _ABSENT)]
    return {"kind": "keys", "keys": [{"id": record_name(number)} for number in numbers]}


def only(table: str, faults: Iterable[Fault]) -> Faults:
    """The same faults, of this table alone: the ledger lies on the same engine."""
    return tuple(fault.model_copy(update={"tables": frozenset((table,))}) for fault in faults)


def _lag(table: str) -> Faults:
    return (Fault(kind=FaultKind.LAG, seconds=_LAG_SECONDS, tables=frozenset((table,))),)


COMPLETE = Scene("complete")
LAGGING = Scene("reads lag by 10 s", standing=_lag)
NUMBERS = Scene(
    "number keys",
    types={"id": "N"},
    key=lambda number: {"id": {"N": str(Decimal(number - 500) / 8)}},  # below 0, fractions, and 0 itself
)
BINARY = Scene(
    "binary keys",
    types={"id": "B"},
    key=lambda number: {"id": {"B": b"\x00\xff" + number.to_bytes(4, "big")}},  # no text in any encoding
)
UPDATE_ITEM = Scene("UpdateItem", standing=lambda table: only(table, (Fault(kind=FaultKind.PARTIQL_DENIED),)))
PARTITIONS = Scene(
    "partitions",
    types={"tenant": "S", "id": "S"},
    key=lambda number: {"tenant": {"S": tenant(number)}, "id": {"S": record_name(number)}},
    scope=_tenants,
    covers=_is_named,
    partitions=True,
)
INDEX = Scene(
    "partitions by an index that lags by 10 s",
    more=lambda number: {"tenant": {"S": tenant(number)}},
    index="by-tenant",
    scope=lambda records: {**_tenants(records), "index": "by-tenant"},
    covers=_is_named,
    partitions=True,
    standing=_lag,
)
KEYS = Scene("keys", scope=_keys, covers=lambda number: number % 2 == 0, vanished=_ABSENT)
SAMPLE = Scene("sample", scope=lambda records: {"kind": "sample", "limit": Scene.sampled(records)}, sample=True)
REDRIVE = Scene("redrive", covers=lambda number: number % _REDRIVEN_EACH == 1, redrive=True)

#: Each meets every kind of fault, with one operation after another.
SCENES = (LAGGING, PARTITIONS, INDEX, KEYS, SAMPLE, REDRIVE, UPDATE_ITEM, NUMBERS, BINARY)
