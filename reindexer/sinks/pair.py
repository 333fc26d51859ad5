"""Single keys of two tables, read consistently: the other table first, then the table itself.

A write that is conditional on what the first of these reads saw is right as of the second. In the opposite
order a row could change between the two, and the write would still put its old state in place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reindexer.answers import Action, CallFailed, Failure
from reindexer.compare.repair import needed
from reindexer.compare.rows import Rules
from reindexer.dynamo.other_table import of_other
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.items import WireItem, WireKey, Write, key_identity
from reindexer.models import Share, Target
from reindexer.round_context import RoundContext
from reindexer.throttle import TokenBucket


@dataclass(slots=True)
class Both:
    """One key in both tables; None: not there. `write`: what makes the other one equal; None: nothing does."""

    first: WireItem | None
    other: WireItem | None
    write: Write | None


class Pair:
    """Reads within the budgets of both tables; `units` are those of the table itself."""

    def __init__(
        self,
        target: Target,
        tables: tuple[TableClient, TableClient],
        share: Share = Share(),  # noqa: B008 – frozen
        context: RoundContext | None = None,  # None: no one waits for a heartbeat
        clock: Callable[[], float] = time.time,
    ) -> None:
        assert target.other is not None, "repaired from what?"
        self._tables, self._context, self._clock = tables, context, clock
        self._name = target.other.table
        self._keys = frozenset(attribute.name for attribute in target.key)
        self._rules = Rules(target.other.left_out, target.other.expiries)
        self._now = context.now if context else time.monotonic
        self._budgets = [TokenBucket(rate, self._now()) for rate in (share.read_units, share.other_read_units)]
        self.units = 0.0

    def read(self, keys: Sequence[WireKey]) -> list[Both]:
        """As the keys are given. Raises `CallFailed`, also when it was asked to stop meanwhile."""
        others, _ = self._read(1, keys)
        first, units = self._read(0, keys)
        self.units += units
        present = self._rules.present(self._clock())
        found = []
        for key in keys:
            identity = key_identity(key)
            row, other = first.get(identity), others.get(identity)
            found.append(Both(row, other, needed(row, other, self._rules, self._keys, present)))
        return found

    def missing(self, row: WireItem) -> Both:
        """A row that was read just now, as if the other table had none."""
        present = self._rules.present(self._clock())
        return Both(row, None, needed(row, None, self._rules, self._keys, present))

    def _read(self, side: int, keys: Sequence[WireKey]) -> tuple[dict[tuple[Any, ...], WireItem], float]:
        budget, context = self._budgets[side], self._context
        while context and (wait := budget.seconds_until(1.0, self._now())) > 0:
            if context.stopping():
                raise CallFailed(Failure("Interrupted", "asked to stop", Action.RETRY))
            context.wait(wait)
        try:
            found, units = read_consistently(self._tables[side], keys, None, context)
        except CallFailed as failed:
            raise CallFailed(of_other(failed.failure, self._name) if side else failed.failure) from failed
        budget.spend(units, self._now())
        return found, units
