"""Pending writes in their order: fresh ones, drawn as they are sent, and those that are to be tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Generic

from reindexer.items import Change
from reindexer.round_context import RoundContext
from reindexer.rounds.pending_write import PendingWrite
from reindexer.throttle import Budget


class BatchQueue(Generic[Change]):
    """Says what the next call carries, within the budget and the sink's limits; all waiting happens here.

    `in_trouble`: with this many waiting to be tried again no fresh one is begun; nor where `room` says that no
    further one can be carried. `under_way`: sent, and not charged to the budget yet. `may_look_ahead`: whether
    a fresh one may be drawn before it can be sent; not where drawing it does its work.
    """

    def __init__(
        self,
        *,
        max_changes: int,
        max_bytes: int,
        size_of: Callable[[Change], int],
        in_trouble: int,
        may_look_ahead: bool,
        room: Callable[[], bool],
        under_way: Sized,
        budget: Budget,
        context: RoundContext,
    ) -> None:
        self._max_changes, self._max_bytes, self._size_of = max_changes, max_bytes, size_of
        self._in_trouble, self._may_look_ahead = in_trouble, may_look_ahead
        self._room, self._under_way = room, under_way
        self._budget, self._context = budget, context
        self.retries: list[PendingWrite[Change]] = []
        self._fresh: Iterator[PendingWrite[Change]] = iter(())
        self._spent: Iterator[PendingWrite[Change]] | None = None
        self._ahead: list[PendingWrite[Change]] = []  # drawn, and not sent yet: one at the most
        self._more = False  # whether fresh ones may be left
        self._any_left: Callable[[], bool] = lambda: True
        self._quiet_until = 0.0  # no call before this moment, whichever works are due

    def begin(self, pending: Iterable[PendingWrite[Change]], any_left: Callable[[], bool]) -> None:
        """Draw fresh ones from `pending`, as long as `any_left` says that there are more."""
        self._spent = self._fresh
        self._fresh, self._ahead, self._more, self._any_left = iter(pending), [], True, any_left

    def free(self) -> None:
        """Let go of the page before, which takes milliseconds: while calls are under way."""
        self._spent = None

    @property
    def any(self) -> bool:
        """Whether anything waits, as far as is known."""
        return self._more or bool(self._ahead or self.retries)

    @property
    def any_fresh(self) -> bool:
        """Whether there may be fresh ones, and none is to be tried again."""
        return not self.retries and (self._more or bool(self._ahead))

    def keep_quiet(self, seconds: float) -> None:
        """Make no call for this number of seconds."""
        self._quiet_until = self._context.now() + seconds

    def next_batch(self) -> list[PendingWrite[Change]]:
        """Due retries first, then fresh ones, within the budget; waits and returns [] when there is none."""
        now = self._context.now()
        if now < self._quiet_until:
            self._context.wait(self._quiet_until - now)
            return []
        due = [work for work in self.retries if work.not_before <= now] if self.retries else []
        if not due and not self._may_begin():
            if self.retries:  # else there is room once what is under way is settled
                self._context.wait(min(work.not_before for work in self.retries) - now)
            return []
        under_way = len(self._under_way)
        size = self._budget.batch_size(self._max_changes + under_way) - under_way
        if size <= 0:
            if due or self._someone_is_left():
                self._budget.wait_to_write()
            return []
        alone = next((work for work in due if work.alone), None)
        batch = [alone] if alone else due[:size]
        if batch:
            chosen = {id(work) for work in batch}
            self.retries = [work for work in self.retries if id(work) not in chosen]
        if not alone and self._may_begin():
            batch += self._drawn(size - len(batch))
        return self._fitting(batch)

    def _may_begin(self) -> bool:
        if not self.retries and not self._under_way:  # with no one under way there is always room for one
            return self._more or bool(self._ahead)
        return (self._more or bool(self._ahead)) and len(self.retries) < self._in_trouble and self._room()

    def _someone_is_left(self) -> bool:
        """Whether a fresh one is there to wait for the budget: else the wait would be for no one."""
        if self._may_look_ahead and not self._ahead:
            self._ahead = self._drawn(1)
        return self._more or bool(self._ahead)

    def _drawn(self, wanted: int) -> list[PendingWrite[Change]]:
        """Up to this many fresh ones."""
        drawn, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        missing = wanted - len(drawn)
        if self._more and missing:
            for work in self._fresh:
                drawn.append(work)
                if len(drawn) == wanted or not self._room():
                    self._more = self._any_left()
                    return drawn
            self._more = False
        return drawn

    def _fitting(self, batch: list[PendingWrite[Change]]) -> list[PendingWrite[Change]]:
        """The batch, cut where it would get too large for one call."""
        total = 0
        for count, work in enumerate(batch):
            if size := self._size_of(work.write):
                total += size
                if total > self._max_bytes and count:
                    self.retries += batch[count:]
                    return batch[:count]
        return batch
