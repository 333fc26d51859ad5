"""Token buckets for budgets, and back-off with jitter for refusals."""

from __future__ import annotations

import random
from collections.abc import Callable

from reindexer.models import Levels, Share
from reindexer.round_context import RoundContext


class TokenBucket:
    """Lets `rate` units per second through; `rate` None lets everything through.

    It starts at `level`, holds at most one second's units, and is charged with what was really consumed, so it
    may go into debt by as much as the last step cost more than was foreseen.
    """

    def __init__(self, rate: float | None, now: float, level: float = 0.0) -> None:
        self.rate = rate
        self._level = level
        self._at = now

    def level(self, now: float) -> float:
        """What is left; negative: debt. 0 without a rate."""
        if self.rate is None:
            return 0.0
        self._refill(now)
        return round(self._level, 3)  # a thousandth of a unit: it travels as JSON

    def _refill(self, now: float) -> None:
        if self.rate is not None:
            # One second's worth at the most: an idle shard must not save up a burst.
            cap = max(self.rate, 1.0)  # below one unit a second the bucket must still be able to hold one
            self._level = min(cap, self._level + (now - self._at) * self.rate)
        self._at = now

    def affordable(self, cost: float, most: int, now: float) -> int:
        """How many steps of `cost` units can be taken now, at most `most`."""
        if self.rate is None:
            return most
        self._refill(now)
        return max(0, min(most, int(self._level / cost + 1e-9)))  # 1e-9: 0.9999… of a refill is a whole one

    def seconds_until(self, cost: float, now: float) -> float:
        """How long until a step of `cost` units can be taken."""
        if self.rate is None:
            return 0.0
        self._refill(now)
        cap = max(self.rate, 1.0)  # what the bucket can hold; a dearer step goes into debt
        return max(0.0, (min(cost, cap) - self._level) / self.rate)

    def spend(self, units: float, now: float) -> None:
        """Take what a step has cost."""
        if self.rate is not None:
            self._refill(now)
            self._level -= units


class Budget:
    """The three budgets of one shard, and what a record is expected to cost.

    They begin at the `levels` that the round before left. Without them a small share would never be enough
    where rounds are often interrupted, and a large page's debt would be forgotten.
    """

    def __init__(self, share: Share, context: RoundContext, levels: Levels = Levels()) -> None:  # noqa: B008 – frozen
        now = context.now()
        self._context = context
        self.reads = TokenBucket(share.read_units, now, levels.read_units)
        self.writes = TokenBucket(share.write_units, now, levels.write_units)
        self.records = TokenBucket(share.records, now, levels.records)
        self.unit_cost = 1.0  # write units a record, learnt from what DynamoDB reports
        self._row_cost = 0.5  # read units a row, learnt likewise; 0.5 is a row of up to 4 KB

    def levels(self) -> Levels:
        """What the next round begins with."""
        now = self._context.now()
        return Levels(
            read_units=self.reads.level(now),
            write_units=self.writes.level(now),
            records=self.records.level(now),
        )

    def batch_size(self, most: int) -> int:
        """How many records may be written now, at most `most`; 0: see `wait_to_write`."""
        now = self._context.now()
        return min(
            self.writes.affordable(min(self.unit_cost, self.writes.rate or self.unit_cost), most, now),
            self.records.affordable(1.0, most, now),
        )

    def wait_to_write(self) -> None:
        """Wait until one record may be written; returns early when asked to stop."""
        now = self._context.now()
        wait = max(self.writes.seconds_until(self.unit_cost, now), self.records.seconds_until(1.0, now))
        self._context.wait(max(wait, 0.001))  # 1 ms: never spin on a rounding error

    def wrote(self, records: int, consumed: float | None) -> float:
        """Charge a call of which `records` were written or refused by their conditions; returns the units.

        They are estimated where the engine reported none. A refused UpdateItem reports none, and costs.
        """
        units = consumed if consumed is not None else records * self.unit_cost
        if consumed and records:
            # A moving average over about ten calls: follows growing rows, forgets one large row.
            self.unit_cost += (consumed / records - self.unit_cost) * 0.1
        now = self._context.now()
        self.writes.spend(units, now)
        self.records.spend(records, now)
        return units

    def wait_to_read(self) -> bool:
        """Wait until a page may be read. False: asked to stop meanwhile."""
        while (wait := self.reads.seconds_until(1.0, self._context.now())) > 0:
            if self._context.stopping():
                return False
            self._context.wait(max(wait, 0.001))  # 1 ms, as for writes
        return True

    def page_rows(self) -> int | None:
        """How many rows a page may have, so that it costs at most about a second's budget; None: any."""
        if self.reads.rate is None:
            return None
        return max(1, int(self.reads.rate / self._row_cost))

    def read(self, units: float, rows: int) -> None:
        """Charge a page of `rows` rows."""
        if units and rows:
            self._row_cost = units / rows
        self.reads.spend(units, self._context.now())


def backoff(
    tries: int,
    base: float = 0.025,
    cap: float = 5.0,
    draw: Callable[[], float] = random.random,
    *,
    throttled: bool = False,
) -> float:
    """Seconds to wait before try number `tries` + 1: exponential with full jitter.

    `base` 25 ms is what botocore's standard retries take for DynamoDB; `cap` 5 s keeps a recovering table from
    waiting on us. `throttled`: twice as long, since capacity comes back more slowly than luck.
    """
    tries += throttled
    # 2^10 × 25 ms is past any cap in use; the bound keeps a long outage from overflowing.
    return cap * draw() if tries > 10 else min(cap, base * 2.0**tries) * draw()
