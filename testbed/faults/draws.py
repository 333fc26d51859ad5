"""Deciding which faults strike a call: repeatable draws from the seed, counters, and token buckets."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from testbed.faults.lots import Lots, digest, fraction
from testbed.faults.plan import BESIDES, ENTRIES, WHOLE, Fault, FaultKind, FaultPlan
from testbed.faults.requests import Touched

_CONSUMED = re.compile(rb'"CapacityUnits":\s*([0-9.]+)')


@dataclass
class Call:
    """One request as the proxy understands it."""

    operation: str
    headers: dict[str, str]
    body: bytes
    request: dict[str, Any]  # the body; empty where it is no JSON object
    tables: Sequence[str]
    touched: Sequence[Touched]  # items written; of a read the items named, where the plan asks for them
    writes: bool
    arn: str  # of the first table, "" where none is named
    number: int = 0  # how often the same call has come by now
    charged: list[Bucket] = field(default_factory=list)  # that let this read through for one unit so far

    @cached_property
    def identity(self) -> bytes:
        """The same for the same call again: the keys it writes, not what it writes; of a read its body."""
        if not self.writes:
            return digest(self.body)
        keys = sorted(f"{item.table} {item.key}" for item in self.touched)
        return digest("\n".join((self.operation, *keys)).encode())


class Bucket:
    """Units that flow in steadily and are spent by calls. Starts full; may go into debt by one call."""

    def __init__(self, units_per_second: float, burst: float) -> None:
        self._rate, self._burst = units_per_second, burst
        self._level, self._at = burst, time.monotonic()

    def take(self, units: float) -> bool:
        """Whether there was anything left; if so, the units are spent."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level <= 0:
            return False
        self._level -= units
        return True

    def charge(self, units: float) -> None:
        """Spend units after the fact."""
        self._level -= units


class _Rule:
    """One fault of the plan with its counters."""

    def __init__(self, plan: FaultPlan, index: int) -> None:
        self.fault = fault = plan.faults[index]
        self.keys = fault.key_texts
        name = f"{plan.seed} {index} {fault.kind}"
        self._lots = Lots(name, fault.probability, fault.after, fault.limit)
        rate = fault.units_per_second
        self.bucket = None if rate is None else Bucket(rate, fault.burst or rate)

    def covers(self, call: Call) -> bool:
        """Whether the call as a whole is in scope, its keys aside."""
        tables = self.fault.tables
        if tables is not None and tables.isdisjoint(call.tables):
            return False
        if self.fault.max_bytes is not None and len(call.body) <= self.fault.max_bytes:
            return False
        return self.fault.covers(call.operation, call.writes)

    def items(self, touched: Iterable[Touched]) -> list[Touched]:
        """Those of the items that are in scope."""
        tables, keys, hot = self.fault.tables, self.keys, self.fault.hot
        return [
            item
            for item in touched
            if (tables is None or item.table in tables)
            and (keys is None or item.key in keys)
            and (hot is None or hot[0] <= fraction(item.partition.encode()) < hot[1])
        ]

    def strikes(self, identity: bytes, number: int, units: int) -> bool:
        """Decide once. `number`: how often this identity came before. `units`: what the rate is charged."""
        if not self._lots.drawn(identity, number):
            return False
        if self.bucket is not None and self.bucket.take(units):
            return False
        self._lots.strike()
        return True


class Draws:
    """The decisions of one plan. Its counters begin at zero: the same plan set again decides the same again."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        rules = [_Rule(plan, index) for index in range(len(plan.faults))]
        self._whole = [rule for rule in rules if rule.fault.kind in WHOLE]
        self._entries = [rule for rule in rules if rule.fault.kind in ENTRIES]
        self._besides = [rule for rule in rules if rule.fault.kind in BESIDES]
        #: Whether the plan needs to know which items a read names.
        self.wants_read_keys = any(
            rule.fault.keys or rule.fault.hot or rule.fault.kind is FaultKind.UNPROCESSED for rule in rules
        )
        self._numbers: Counter[bytes] = Counter()

    def whole(self, call: Call) -> Fault | None:
        """The fault that fails the call, if one does. Call it exactly once for each request."""
        if self._whole or self._besides:
            self._numbers[call.identity] += 1
            call.number = self._numbers[call.identity]
        return self._first(self._whole, call)

    def beside(self, call: Call, kind: FaultKind) -> Fault | None:
        """The fault of this kind that comes on top of the answer, if one does."""
        return self._first([rule for rule in self._besides if rule.fault.kind is kind], call)

    def entries(self, call: Call) -> dict[int, Fault]:
        """The entries of a batch that are struck, and by what; each by the first that strikes."""
        struck: dict[int, Fault] = {}
        rules = [rule for rule in self._entries if rule.covers(call) and _suits(rule.fault.kind, call)]
        for item in call.touched if rules else ():
            identity = f"{item.table} {item.key}".encode()
            number = self._numbers[identity]
            self._numbers[identity] += 1
            for rule in rules:
                if rule.items((item,)) and rule.strikes(identity, number, 1):
                    struck[item.entry] = rule.fault
                    break
        return struck

    def settle(self, call: Call, body: bytes) -> None:
        """Charge a read what the engine says that it consumed."""
        if call.charged and (found := _CONSUMED.search(body)):
            for bucket in call.charged:
                bucket.charge(float(found[1]) - 1)  # one unit was taken when it came in

    def _first(self, rules: Iterable[_Rule], call: Call) -> Fault | None:
        for rule in rules:
            if not rule.covers(call):
                continue
            items = rule.items(call.touched)
            if not items and (rule.keys is not None or rule.fault.hot is not None):
                continue
            if rule.strikes(call.identity, call.number, len(items) if call.writes else 1):
                return rule.fault
            if rule.bucket is not None and not call.writes:
                call.charged.append(rule.bucket)
        return None


def _suits(kind: FaultKind, call: Call) -> bool:
    if kind is FaultKind.UNPROCESSED:
        return call.operation in ("BatchGetItem", "BatchWriteItem")
    return call.operation == "BatchExecuteStatement"
