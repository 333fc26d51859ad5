"""Carrying a shard of the model through rounds as the workflow does, with crashes, stops and lost heartbeats.

What must hold at every heartbeat is checked here; what must hold at the end is checked by the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from reindexer.checks.last_look import count_ahead
from reindexer.dynamo.table import TableClient
from reindexer.models import (
    Attributes,
    ClosingResult,
    Control,
    Isolated,
    KeyAttribute,
    Progress,
    RecordInput,
    RecordResult,
    RoundInput,
    RoundResult,
    Segment,
    ShardInput,
    Share,
    Stop,
    Target,
    Touch,
)
from reindexer.models.folding import after_closing, after_record, at_the_end
from reindexer.rounds.pending_write import Patience
from reindexer.rounds.round import Round
from reindexer.sinks.seen_stamps import DRIFT_ROWS
from reindexer.table_rounds import Second, attempt_record, look_ahead, make_round
from reindexer.tally import Attempts, Tally
from tests.model_table import Clock, Killed, ModelTable
from workflows.shard.handing_back import last_look
from workflows.shard.running_shard import RunningShard
from workflows.shard.steps import Changing

PATIENCE = Patience()
CHANGING = Changing()
UNLIMITED = Share()
SEGMENT = Segment(segment=0, total=1)


def target(**more: Any) -> Target:
    """The target of the model table: version 7 under the stamp run-1."""
    fields: dict[str, Any] = {
        "table": "t", "table_arn": "arn:aws:dynamodb:us-east-1:000000000000:table/t", "table_id": "id",
        "key": [KeyAttribute(name="id", type="S")], "attributes": Attributes(), "version": 7, "stamp": "run-1",
        "writer": "partiql", "operation": Touch(),
    }  # fmt: skip
    return Target(**(fields | more))


class FakeContext:
    """A context whose clock moves only when something waits or calls; it looks at each heartbeat's progress."""

    def __init__(
        self,
        clock: Clock,
        *,
        kill_at: int | None = None,  # dies at this heartbeat
        stop_at: int | None = None,  # asked to stop at this one
        deliver: Callable[[int], bool] = lambda _: True,  # whether the n-th heartbeat reaches the server
        look: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self.clock, self._kill_at, self.stop_at, self._deliver, self._look = (
            clock,
            kill_at,
            stop_at,
            deliver,
            look,
        )
        self.beats = 0
        self.at_once: Progress | None = None  # by the last heartbeat that could not wait
        self.delivered: Any = None
        self.waited: list[float] = []
        self.frozen = False
        self._progress: Callable[[], Any] | None = None

    def now(self) -> float:
        return self.clock.now

    def heartbeat(self, progress: Callable[[], Any] | None = None, *, immediate: bool = False) -> None:
        self._progress = progress or self._progress
        self.beats += 1
        if self._progress:
            seen = self._progress()
            self._look(seen)
            self.at_once = seen if immediate else self.at_once
            if self._deliver(self.beats):
                # As a heartbeat travels: encoded, and validated on the other side.
                self.delivered = type(seen).model_validate(seen.model_dump(mode="json"))
        if self.beats == self._kill_at:
            raise Killed

    def stopping(self) -> bool:
        return self.stop_at is not None and self.beats >= self.stop_at

    def stale(self) -> bool:
        return self.frozen

    def rest(self, resting: bool) -> None: ...

    def wait(self, seconds: float) -> None:
        assert seconds >= 0
        self.waited.append(seconds)
        if not self.stopping():
            self.clock.now += seconds
            self.heartbeat()


class RememberedSeen:
    """What the ledger keeps of records that were read with a stamp."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, Sequence[bytes]]] = []

    def keep(self, end: int, digests: Sequence[bytes]) -> None:
        self.kept.append((end, digests))

    def since(self, start: int) -> set[bytes]:
        return {each for end, digests in self.kept if end > start - DRIFT_ROWS for each in digests}


@dataclass
class Life:
    """What one attempt of a round meets from outside DynamoDB."""

    kill_at: int | None = None
    stop_at: int | None = None
    delivered_each: int = 1  # every n-th heartbeat reaches the server


@dataclass
class Shard:
    """A shard of the workflow, with its own rules for what a round is asked and how it is folded."""

    model: ModelTable
    running: RunningShard
    patience: Patience = PATIENCE
    seconds: float = 30.0  # time slice of a round
    rounds: int = 0
    stops: list[Stop] = field(default_factory=list)
    last: RoundResult | None = None
    defects: bool = False  # whether a round may meet one; else what a test asserts in its midst would be lost
    check: Callable[[Shard, Progress], None] = lambda _shard, _progress: None
    seen: RememberedSeen = field(default_factory=RememberedSeen)  # as the ledger, it outlives every attempt

    @property
    def tally(self) -> Tally:
        return self.running.state.tally

    @property
    def attempts(self) -> Attempts:
        return self.running.state.attempts

    @property
    def isolated(self) -> list[Isolated]:
        return self.running.state.isolated

    @property
    def partitions(self) -> dict[str, Tally]:
        return self.running.state.partitions

    @property
    def request(self) -> RoundInput:
        """What its next round is asked."""
        call = CHANGING.call(self.running, self.running.share, self.seconds)
        request: RoundInput = call.request
        return request

    def run(self, lives: Iterable[Life] = (), most_rounds: int = 200) -> Self:
        """Round after round until it is done; `lives` are used up one by one, then nothing goes wrong."""
        lives = list(lives)
        while self.last is None or self.last.stop is not Stop.DONE:
            assert self.rounds < most_rounds, f"no end: {self.stops[-20:]}"
            self.one_round(lives.pop(0) if lives else Life())
            if self.last and self.last.stop in (Stop.THROTTLED, Stop.UNAVAILABLE):
                self.model.clock.now += 5.0  # the workflow's durable timer
            if self.last and self.last.stop is Stop.FAULT:
                return self
        return self

    def one_round(self, life: Life) -> None:
        """One activity: its result is folded, or what the server has of a lost one."""
        self.rounds += 1
        context = FakeContext(
            self.model.clock,
            kill_at=life.kill_at,
            stop_at=life.stop_at,
            deliver=lambda n: n % life.delivered_each == 0,
            look=self._look,
        )
        try:
            result = self._made(context).run()
        except Killed:
            self.last = None
            if context.delivered:
                self.fold(CHANGING.heartbeat(context.delivered.model_dump(mode="json")))
            self.running.state = self.running.state.model_copy(update={"timed_out": True})
            return
        assert self.defects or result.stop is not Stop.FAILED, result.fault
        self.fold(result)
        if result.stop is Stop.DONE:
            self.running.state = at_the_end(self.running.state)
        self.last = result
        self.stops.append(result.stop)

    def _made(self, context: FakeContext) -> Round:
        """The round to be run next."""
        table = TableClient(self.model, "t")  # type: ignore[arg-type]
        return make_round(self.request, table, context, self.patience, self.seen)

    def closed(self) -> Self:
        """As a cancelled job leaves it: with what carries the stamp beyond the cursor, and never more work."""
        while True:  # Temporal repeats it as it is
            with suppress(Killed):
                found = self._found_ahead()
                break
        found = ClosingResult.model_validate(found.model_dump(mode="json"))
        assert found.complete, found.fault
        self.running.state = after_closing(self.running.state, found)
        assert self.tally.balanced(len(self.isolated))
        return self

    def _found_ahead(self) -> ClosingResult:
        table = TableClient(self.model, "t")  # type: ignore[arg-type]
        return count_ahead(last_look(self.running), table, FakeContext(self.model.clock), self.seen)

    def fold(self, result: RoundResult) -> None:
        """As it travels: encoded, and validated on the other side."""
        result = RoundResult.model_validate(result.model_dump(mode="json"))
        self.running.state = CHANGING.fold(self.running.state, result)

    def _look(self, progress: Progress) -> None:
        assert progress.tally.balanced(len(progress.isolated)), "a heartbeat out of balance"
        if progress.partitions:
            assert_by_partition(progress.partitions, progress.tally, progress.isolated)
        self.check(self, progress)


@dataclass(kw_only=True)
class ShardOfTwo(Shard):
    """A shard that reads `table` and writes elsewhere."""

    table: ModelTable

    @property
    def second(self) -> Second:
        """Where it writes."""
        raise NotImplementedError

    def _made(self, context: FakeContext) -> Round:
        table = TableClient(self.table, "t")  # type: ignore[arg-type]
        return make_round(self.request, table, context, self.patience, second=self.second)

    def _found_ahead(self) -> ClosingResult:
        table = TableClient(self.table, "t")  # type: ignore[arg-type]
        return look_ahead(last_look(self.running), table, FakeContext(self.model.clock), second=self.second)

    def alone(self, tries: int = 4) -> None:
        """Each isolated record for itself, until it has its outcome; those that always fail stay."""
        for record in list(self.isolated):
            for _ in range(tries):
                result = self._attempted(record)
                self.running.state = after_record(self.running.state, result)
                record = result.record
                if result.outcome:
                    break

    def _attempted(self, record: Isolated) -> RecordResult:
        table = TableClient(self.table, "t")  # type: ignore[arg-type]
        request = RecordInput(target=self.request.target, record=record)
        try:
            result = attempt_record(request, table, FakeContext(self.model.clock), self.second)
        except Killed:
            return RecordResult(outcome=None, record=record.model_copy(update={"unknown": True}), died=True)
        return RecordResult.model_validate(result.model_dump(mode="json"))


def assert_by_partition(partitions: dict[str, Tally], tally: Tally, isolated: Iterable[Isolated]) -> None:
    """They add up to the tally, and each has an outcome for every row that is not isolated."""
    assert Tally.total(partitions.values()) == tally
    under_way = Counter(record.partition for record in isolated)
    for name, part in partitions.items():
        assert part.balanced(under_way[name]), f"{name} is out of balance"


def shard(
    model: ModelTable,
    patience: Patience = PATIENCE,
    *,
    seconds: float = 30.0,
    share: Share = UNLIMITED,
    **more: Any,
) -> Shard:
    """A shard over the whole model table, at its beginning. `more`: fields of its input."""
    fields: dict[str, Any] = {
        "job": "job", "run": "run-1", "index": 0, "target": target(), "source": SEGMENT, "isolation": "batch",
        "heartbeat_timeout": 10.0, "control": Control(share=share),
    }  # fmt: skip
    return Shard(model, RunningShard(ShardInput(**(fields | more))), patience, seconds)
