"""What can go wrong, as rows of the matrix: each kind of fault with the moments at which it strikes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from evidence.exactness.scenes import Faults, Item, only
from testbed.faults import Fault, FaultKind, FaultPlan

K = FaultKind
#: Makes the faults of a table. Second: the keys of the records that are given up, on the wire.
Make = Callable[[str, Sequence[Item]], Faults]


class Moment(StrEnum):
    """When it begins: with the first call, with half of the records written, or with three quarters of them."""

    START = "from the start"
    MIDDLE = "mid-run"
    END = "at the end"


MOMENTS = (Moment.START, Moment.MIDDLE, Moment.END)
#: Part of the records that are written before.
PARTS = {Moment.START: 0.0, Moment.MIDDLE: 0.5, Moment.END: 0.75}


@dataclass(frozen=True)
class Kind:
    """`parks`: the job parks itself; once it is repaired, it is resumed. `given_up`: records that end in
    quarantine. `partiql`: it strikes statements, so there is nothing to strike without them. `family`: kinds
    after which a record is settled in the same way; none: it has no other like it.
    """

    name: str
    faults: Make
    moments: tuple[Moment, ...] = MOMENTS
    parks: bool = False
    given_up: int = 0
    quick: bool = False
    ambiguous: bool = False  # an error for a write that was applied, or will be: at every moment for all
    batched: bool = False  # it strikes calls of many records alone
    many: bool = False  # it strikes only where there are many records
    partiql: bool = False
    family: str | None = None


def _each(*kinds: FaultKind, **fields: Any) -> Make:
    return lambda table, _keys: only(table, [Fault(kind=kind, **fields) for kind in kinds])


def _with_stripped(table: str, _keys: Sequence[Item]) -> Faults:
    mixed = FaultPlan.mixed(0.3).faults
    return only(table, (Fault(kind=K.STRIP_ITEM), *mixed, Fault(kind=K.UNPROCESSED, probability=0.3)))


def refused(table: str, keys: Sequence[Item]) -> Faults:
    """Writes of these records are invalid, as statements and as calls of their own."""
    updates = frozenset(("UpdateItem",))
    invalid = (
        Fault(kind=K.STATEMENT_ERROR, code="ValidationError", keys=tuple(keys)),
        Fault(kind=K.REFUSED, keys=tuple(keys), operations=updates),
    )
    return only(table, invalid)


def throttled(table: str, _keys: Sequence[Item]) -> Faults:
    """Some writes are, statements and calls: records are settled out of order."""
    calls = Fault(kind=K.THROTTLE, probability=_SOME, operations="writes")
    return only(table, (Fault(kind=K.STATEMENT_THROTTLE, probability=_SOME), calls))


_SOME = 0.1  # of the writes: there is one in each batch, and most go through
#: A quarter of the calls: each kind strikes in every cell, and every record goes through in the end.
_OFTEN = 0.25

KINDS = (
    Kind("500 before the write", _each(K.SERVER_ERROR, probability=_OFTEN), family="before"),
    Kind("503 before the write", _each(K.UNAVAILABLE, probability=_OFTEN), family="before"),
    Kind("connection cut before the write", _each(K.CUT, probability=_OFTEN), family="before"),
    Kind(
        "500 after the write",
        _each(K.SERVER_ERROR_APPLIED, probability=_OFTEN),
        quick=True,
        ambiguous=True,
        family="after",
    ),
    Kind("503 after the write", _each(K.UNAVAILABLE_APPLIED, probability=_OFTEN), family="after"),
    Kind(
        "connection cut after the write",
        _each(K.CUT_APPLIED, probability=_OFTEN),
        quick=True,
        ambiguous=True,
        family="after",
    ),
    # Each costs a read time-out of 5 s, hence the limit.
    Kind("time-out before the write", _each(K.TIMEOUT, limit=3), family="time-out"),
    Kind("time-out after the write", _each(K.TIMEOUT_APPLIED, limit=3), family="time-out"),
    Kind(
        "500, applied 0.5 s later",
        _each(K.SERVER_ERROR_LATE, probability=_OFTEN, seconds=0.5, operations="writes"),
        quick=True,
        ambiguous=True,
        family="late",
    ),
    Kind(
        "cut, applied 0.5 s later",
        _each(K.CUT_LATE, probability=_OFTEN, seconds=0.5, operations="writes"),
        family="late",
    ),
    Kind(
        "time-out, applied 6 s later",
        _each(K.TIMEOUT_LATE, limit=2, seconds=6.0, operations="writes"),
        family="time-out",
    ),
    Kind("answer truncated", _each(K.TRUNCATED, K.BROKEN_JSON, probability=_OFTEN / 2), family="damaged"),
    Kind("answer with a wrong checksum", _each(K.WRONG_CRC32, probability=_OFTEN), family="damaged"),
    Kind("slow answers", _each(K.SLOW, probability=_OFTEN, seconds=0.3)),
    Kind("throttled calls", _each(K.THROTTLE, probability=_OFTEN), family="throttled"),
    Kind(
        "throttled by rate",
        _each(K.THROTTLE, units_per_second=400, burst=50, operations="writes"),
        quick=True,
        family="throttled",
    ),
    Kind(
        "a hot key range",
        _each(K.THROTTLE, hot=(0.0, 0.1), units_per_second=50, burst=1, operations="writes"),
        many=True,
        family="throttled",
    ),
    Kind(
        "statements throttled",
        partiql=True,
        faults=_each(K.STATEMENT_THROTTLE, probability=_OFTEN),
        family="statements",
    ),
    Kind(
        "statements failing, not applied",
        partiql=True,
        faults=_each(K.STATEMENT_ERROR, probability=_OFTEN),
        family="statements",
    ),
    Kind(
        "statements failing, applied",
        _each(K.STATEMENT_ERROR_APPLIED, probability=_OFTEN),
        partiql=True,
        quick=True,
        ambiguous=True,
    ),
    Kind(
        "transactions in the way",
        _each(K.STATEMENT_ERROR, code="TransactionConflict", probability=_OFTEN),
        partiql=True,
        family="statements",
    ),
    Kind("stored items withheld, 30 % failing", _with_stripped, quick=True, ambiguous=True),
    Kind(
        "calls too large (413)",
        _each(K.TOO_LARGE, max_bytes=1500, limit=30, operations="writes"),
        partiql=True,
        batched=True,
    ),
    Kind("PartiQL denied: one by one", _each(K.PARTIQL_DENIED), moments=(Moment.START,), partiql=True),
    Kind(
        "3 records refused for good",
        refused,
        (Moment.START,),
        given_up=3,
        quick=True,
    ),
    Kind("access denied, then allowed", _each(K.ACCESS_DENIED), MOMENTS[1:], parks=True, family="parks"),
    Kind("credentials expired, then renewed", _each(K.EXPIRED_TOKEN), MOMENTS[1:], parks=True, family="parks"),
    Kind("table away, then back", _each(K.TABLE_GONE), MOMENTS[1:], parks=True, family="parks"),
)
