"""A stream in memory whose shards roll, split and are trimmed, behind the calls of boto3's client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reindexer.models.streams import Ended, LineageCursor, LineageState, Position
from reindexer.streams.client import StreamCalls
from reindexer.streams.lineages import opening
from reindexer.streams.listing import describe

EPOCH = 1_795_696_605_000  # milliseconds; any will do
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEYS = 8  # as many shards as splits can make


@dataclass
class ModelShard:
    """`keys`: those whose changes it takes."""

    name: str
    parent: str | None
    keys: range
    numbers: list[int] = field(default_factory=list)
    open: bool = True
    trimmed: bool = False


@dataclass(frozen=True)
class Written:
    """One record: the shard it is in, its key, and its place in the table's history."""

    shard: str
    key: int
    place: int


class ModelStream:
    """Looks like boto3's client. A listing is what `shown` is set to; the rest tells the truth."""

    def __init__(self, page_shards: int = 2) -> None:
        self.shards = {"s0": ModelShard("s0", None, range(KEYS))}
        self.written: dict[int, Written] = {}  # by sequence number
        self.hidden: set[str] = set()  # shards that the listing lacks
        self.shown_open: set[str] = set()  # ended shards that it shows open
        self.torn = False  # pages after the first fail
        self.failing: dict[str, Exception] = {}  # GetRecords of these shards
        self._page_shards = page_shards
        self._number = 10**20 - 20  # soon a digit longer: comparing texts would go wrong

    def write(self, key: int) -> None:
        self._number += 1 + key  # not consecutive
        shard = next(one for one in self.shards.values() if one.open and key in one.keys)
        shard.numbers.append(self._number)
        self.written[self._number] = Written(shard.name, key, len(self.written))

    def divide(self, which: int, *, split: bool) -> None:
        """End one of the open shards; one or two follow it."""
        open_now = [shard for shard in self.shards.values() if shard.open]
        parent = open_now[which % len(open_now)]
        middle = parent.keys.start + len(parent.keys) // 2
        halves = [range(parent.keys.start, middle), range(middle, parent.keys.stop)]
        parent.open = False
        for keys in halves if split and len(parent.keys) > 1 else [parent.keys]:
            name = f"s{len(self.shards)}"
            self.shards[name] = ModelShard(name, parent.name, keys)
            if parent.name in self.hidden:
                self.hidden.add(name)

    def trim(self, done: set[str]) -> None:
        """Forget ended shards that were read, ancestors first; a day later no child is listed late."""
        late = {self.shards[name].parent for name in self.hidden}
        for shard in self.shards.values():
            parent = self.shards.get(shard.parent or "")
            if shard.name in done - late and not shard.open and (parent is None or parent.trimmed):
                shard.trimmed = True

    def hide(self, which: int) -> None:
        """Hide a shard and all that descend from it, until `show`."""
        names = list(self.shards)
        self.hidden.add(names[which % len(names)])
        for shard in self.shards.values():  # children come after their parents
            if shard.parent in self.hidden:
                self.hidden.add(shard.name)

    def show(self) -> None:
        """The next listings are complete and true."""
        self.hidden, self.shown_open, self.torn = set(), set(), False

    def describe_stream(self, **asked: Any) -> dict[str, Any]:
        start = asked.get("ExclusiveStartShardId")
        if start is not None and self.torn:
            raise OSError("a page is missing")
        only = asked.get("ShardFilter", {}).get("ShardId")
        names = [
            shard.name
            for shard in self.shards.values()
            if not shard.trimmed and shard.name not in self.hidden and only in (None, shard.parent)
        ]
        rest = names[1 + names.index(start) :] if start is not None else names
        page = rest[: self._page_shards]
        more = {"LastEvaluatedShardId": page[-1]} if len(rest) > len(page) else {}
        return {"StreamDescription": {"Shards": list(map(self._listed, page)), **more}}

    def _listed(self, name: str) -> dict[str, Any]:
        shard = self.shards[name]
        ending = {} if shard.open or name in self.shown_open else {"EndingSequenceNumber": "1"}
        parent = {"ParentShardId": shard.parent} if shard.parent else {}
        return {"ShardId": name, "SequenceNumberRange": ending, **parent}

    def get_shard_iterator(self, **asked: Any) -> dict[str, Any]:
        assert not self.shards[asked["ShardId"]].trimmed
        return {"ShardIterator": f"{asked['ShardId']} {asked.get('SequenceNumber', 0)}"}

    def get_records(self, **asked: Any) -> dict[str, Any]:
        name, after = asked["ShardIterator"].split()
        if name in self.failing:
            raise self.failing[name]
        shard = self.shards[name]
        page = [number for number in shard.numbers if number > int(after)][: asked["Limit"]]
        last = page[-1] if page else int(after)
        ended = not shard.open and not any(number > last for number in shard.numbers)
        return {"Records": list(map(self._record, page))} | (
            {} if ended else {"NextShardIterator": f"{name} {last}"}
        )

    def _record(self, number: int) -> dict[str, Any]:
        change = {
            "Keys": {"id": {"N": str(self.written[number].key)}},
            "ApproximateCreationDateTime": NOON.timestamp(),
            "SequenceNumber": str(number),
        }
        return {"eventName": "MODIFY", "dynamodb": change}


class Waiting:
    """A context whose waits pass at once. It stops after a number of seconds."""

    def __init__(self, seconds: float = 5.0, woken: Callable[[float], None] = lambda _: None) -> None:
        self.seconds, self.passed, self.woken = seconds, 0.0, woken
        self.rested: list[bool] = []

    def now(self) -> float:
        return self.passed

    def heartbeat(self, *_: Any, **__: Any) -> None: ...

    def stopping(self) -> bool:
        return self.passed >= self.seconds

    def stale(self) -> bool:
        return False

    def rest(self, resting: bool) -> None:
        self.rested.append(resting)

    def wait(self, seconds: float) -> None:
        self.passed += seconds
        self.woken(self.passed)


def after_end(state: LineageState, last: Position) -> LineageState:
    """The state once a shard was read to its end. `last`: its position then."""
    reading = dict(state.reading)
    ended = Ended(ordinal=last.ordinal, at=last.end_at, parent=reading.pop(last.shard).parent)
    return state.model_copy(update={"reading": reading, "ended": state.ended | {last.shard: ended}})


def begun(stream: ModelStream) -> LineageCursor:
    return LineageCursor(reading=opening(describe(StreamCalls(stream, "arn")).listing).reading)


def grown() -> ModelStream:
    """Five shards: one that was split, of which one half rolled; eight changes in each."""
    stream = ModelStream()
    write_all(stream)
    stream.divide(0, split=True)
    write_all(stream)
    stream.divide(0, split=False)
    write_all(stream)
    return stream


def write_all(stream: ModelStream) -> None:
    for key in range(KEYS):
        stream.write(key)


def from_root() -> tuple[ModelStream, LineageCursor]:
    """A grown stream, and the cursor of who follows it from its first shard on."""
    return grown(), begun(ModelStream())
