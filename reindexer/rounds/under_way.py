"""Batches that are sent and not settled: one, or some where calls are made ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Generic

from reindexer.answers import Answers
from reindexer.items import Change
from reindexer.rounds.pending_write import PendingWrite
from reindexer.rounds.protocols import Sink

#: Batches under way at once where calls are made ahead: a far Region takes a tenth of a second for each. With 8
#: a replica on the same machine is written a fifth faster than with 4.
MAX_BATCHES = 8
#: Seconds between two heartbeats while an answer is awaited.
_TICK_SECONDS = 1.0


@dataclass(slots=True)
class Sent(Generic[Change]):
    """One batch. `number`: of its call. `ahead` None: it is called for its answer."""

    batch: list[PendingWrite[Change]]
    number: int
    attempt: Callable[[], Answers]
    ahead: Future[Answers] | None

    def answers(self, meanwhile: Callable[[], None]) -> Answers:
        """When they are there; `meanwhile` is called each second. Raises what the attempt raises."""
        if self.ahead is None:
            return self.attempt()
        while not self.ahead.done() and not wait([self.ahead], _TICK_SECONDS).done:
            meanwhile()
        return self.ahead.result()


class UnderWay(Generic[Change]):
    """Oldest first. Without `ahead` nothing is sent before the batch before it is settled."""

    def __init__(self, sink: Sink[Change], ahead: Executor | None) -> None:
        self._sink, self._ahead = sink, ahead
        self._sent: deque[Sent[Change]] = deque()
        self._calls = 0  # made so far
        self._failed_at = 0  # as many were made when one failed last

    def __len__(self) -> int:
        """Records in them."""
        return sum(len(sent.batch) for sent in self._sent)

    @property
    def has_room(self) -> bool:
        """Whether one more may be sent beside these."""
        return self._ahead is not None and len(self._sent) < MAX_BATCHES

    @property
    def works(self) -> list[PendingWrite[Change]]:
        """All that is in them, settled or not."""
        return [work for sent in self._sent for work in sent.batch]

    def send(self, batch: list[PendingWrite[Change]]) -> None:
        """Make the call, or leave it to who asks for its answers."""
        attempt = partial(self._sink.attempt, [(work.key, work.write) for work in batch])
        self._calls += 1
        ahead = self._ahead.submit(attempt) if self._ahead else None
        self._sent.append(Sent(batch, self._calls, attempt, ahead))

    @property
    def oldest(self) -> Sent[Change]:
        """The one whose answers are due next."""
        return self._sent[0]

    def settled(self) -> None:
        """The oldest is not under way any more."""
        self._sent.popleft()

    def failed(self, sent: Sent[Change]) -> bool:
        """Note that it settled nothing. False: it was made before another one failed: that is one failure."""
        tells = sent.number > self._failed_at
        if tells:
            self._failed_at = self._calls
        return tells

    def wait(self) -> None:
        """Until no call is under way, whatever it answers."""
        wait([sent.ahead for sent in self._sent if sent.ahead])
