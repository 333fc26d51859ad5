"""Carrying a shard of the model through rounds as the workflow does, with crashes, stops and lost heartbeats.

What must hold at every heartbeat is checked here; what must hold at the end is checked by the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from reindexer.delivery import Patience
from reindexer.dynamo.table import TableClient
from reindexer.models import (
    Attributes,
    Isolated,
    KeyAttribute,
    Progress,
    RoundInput,
    RoundResult,
    Segment,
    Stop,
    Target,
    Touch,
)
from reindexer.round import Round
from reindexer.tally import Attempts, Tally, plus_each, total
from tests.model_table import Clock, Killed, ModelTable

PATIENCE = Patience()
SEGMENT = Segment(segment=0, total=1)


def target(**more: Any) -> Target:
    """The target of the model table: version 7 under the stamp run-1."""
    fields: dict[str, Any] = {
        "table": "t", "table_arn": "arn:aws:dynamodb:us-east-1:000000000000:table/t", "table_id": "id",
        "key": [KeyAttribute(name="id", type="S")], "attributes": Attributes(), "version": 7, "stamp": "run-1",
        "writer": "partiql", "operation": Touch(),
    }  # fmt: skip
    return Target(**(fields | more))


class FakePulse:
    """A pulse whose clock moves only when something waits or calls; it looks at each heartbeat's progress."""

    def __init__(
        self,
        clock: Clock,
        *,
        kill_at: int | None = None,  # dies at this heartbeat
        stop_at: int | None = None,  # told to stop at this one
        deliver: Callable[[int], bool] = lambda _: True,  # whether the n-th heartbeat reaches the server
        look: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self.clock, self._kill_at, self._stop_at, self._deliver, self._look = (
            clock,
            kill_at,
            stop_at,
            deliver,
            look,
        )
        self.beats = 0
        self.told_at_once: Progress | None = None  # by the last heartbeat that could not wait
        self.delivered: Progress | None = None
        self.waited: list[float] = []
        self.frozen = False
        self._progress: Callable[[], Progress] | None = None

    def now(self) -> float:
        return self.clock.now

    def beat(self, progress: Callable[[], Progress] | None = None, *, at_once: bool = False) -> None:
        self._progress = progress or self._progress
        self.beats += 1
        if self._progress:
            seen = self._progress()
            self._look(seen)
            self.told_at_once = seen if at_once else self.told_at_once
            if self._deliver(self.beats):
                # As a heartbeat travels: encoded, and validated on the other side.
                self.delivered = Progress.model_validate(seen.model_dump(mode="json"))
        if self.beats == self._kill_at:
            raise Killed

    def stopping(self) -> bool:
        return self._stop_at is not None and self.beats >= self._stop_at

    def stale(self) -> bool:
        return self.frozen

    def wait(self, seconds: float) -> None:
        assert seconds >= 0
        self.waited.append(seconds)
        if not self.stopping():
            self.clock.now += seconds
            self.beat()


@dataclass
class Life:
    """What one attempt of a round meets from outside DynamoDB."""

    kill_at: int | None = None
    stop_at: int | None = None
    delivered_each: int = 1  # every n-th heartbeat reaches the server
    folded: bool = (
        False  # after a crash: the workflow folds and starts a round, else Temporal retries the attempt
    )


@dataclass
class Shard:
    """What the workflow keeps of a shard, folded as it folds."""

    model: ModelTable
    request: RoundInput
    patience: Patience = PATIENCE
    tally: Tally = field(default_factory=Tally)
    attempts: Attempts = field(default_factory=Attempts)
    isolated: list[Isolated] = field(default_factory=list)
    rounds: int = 0
    stops: list[Stop] = field(default_factory=list)
    last: RoundResult | None = None
    crashed: bool = False
    partitions: dict[str, Tally] = field(default_factory=dict)
    check: Callable[[Shard, Progress], None] = lambda _shard, _progress: None

    def run(self, lives: Iterable[Life] = (), most_rounds: int = 200) -> Shard:
        """Round after round until it is done; `lives` are used up one by one, then nothing goes wrong."""
        lives = list(lives)
        while self.last is None or self.last.stop is not Stop.DONE:
            assert self.rounds < most_rounds, f"no end: {self.stops[-20:]}"
            self.one_round(lives.pop(0) if lives else Life(), lives)
            if self.last and self.last.stop in (Stop.THROTTLED, Stop.UNAVAILABLE):
                self.model.clock.now += 5.0  # the workflow's durable timer
            if self.last and self.last.stop is Stop.FAULT:
                return self
        return self

    def one_round(self, life: Life, lives: list[Life]) -> None:
        """One activity: attempts until one comes back, or until a crash is folded."""
        self.rounds += 1
        resume: Progress | None = None
        while True:
            pulse = FakePulse(
                self.model.clock,
                kill_at=life.kill_at,
                stop_at=life.stop_at,
                deliver=lambda n, each=life.delivered_each: n % each == 0,  # type: ignore[misc]
                look=self._look,
            )
            request = self.request.model_copy(update={"doubt": self.request.doubt or self.crashed})
            table = TableClient(self.model, "t")  # type: ignore[arg-type]
            try:
                result = Round(request, table, pulse, resume, self.patience).run()
            except Killed:
                self.crashed = True
                resume = pulse.delivered or resume
                if life.folded:
                    self.last = None
                    if resume:
                        self.fold(resume)
                    return
                life = lives.pop(0) if lives else Life()
                continue
            self.fold(result.progress)
            self.last = result
            self.stops.append(result.stop)
            return

    def fold(self, progress: Progress) -> None:
        """Counts add up, the cursor and the unknown keys are replaced, isolated records are appended."""
        progress = Progress.model_validate(progress.model_dump(mode="json"))
        self.tally += progress.tally
        self.attempts += progress.attempts
        self.isolated += progress.isolated
        self.partitions = plus_each(self.partitions, progress.partitions)
        self.request = self.request.model_copy(
            update={
                "cursor": progress.cursor or self.request.cursor,
                "handed_out": self.tally.scanned,
                "unknown": progress.unknown,
                "deleting": progress.deleting,
                "deleting_in": progress.deleting_in,
            }
        )

    def _look(self, progress: Progress) -> None:
        assert progress.tally.balanced(len(progress.isolated)), "a heartbeat out of balance"
        if progress.partitions:
            assert_by_partition(progress.partitions, progress.tally, progress.isolated)
        self.check(self, progress)


def assert_by_partition(partitions: dict[str, Tally], tally: Tally, isolated: Iterable[Isolated]) -> None:
    """They add up to the tally, and each has an outcome for every row that is not isolated."""
    assert total(Tally, partitions.values()) == tally
    under_way = Counter(record.partition for record in isolated)
    for name, part in partitions.items():
        assert part.balanced(under_way[name]), f"{name} is out of balance"


def shard(model: ModelTable, patience: Patience = PATIENCE, **request: Any) -> Shard:
    """A shard over the whole model table, at its beginning."""
    fields: dict[str, Any] = {"target": target(), "source": SEGMENT, **request}
    return Shard(model, RoundInput(**fields), patience)
