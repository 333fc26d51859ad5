"""What the delivery loop carries, and how long it waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from reindexer.items import Change, WireKey


@dataclass(slots=True)
class PendingWrite(Generic[Change]):
    """One record under way."""

    position: int  # in its page
    key: WireKey
    write: Change
    unknown: bool = False  # a write was sent whose answer never came
    failures: int = 0  # errors that may be the record's own; throttles are not
    races: int = 0  # refused, yet the stored item was below the target
    throttles: int = 0
    alone: bool = False  # to be sent in a call of its own
    not_before: float = 0.0  # monotonic seconds
    settled_before: int = -1  # how many records had got an outcome when it first failed; -1: it has not
    error: str = ""
    message: str = ""
    settled: bool = False  # it has left the loop
    deleting: bool = False  # this run's delete mark is on it


@dataclass(frozen=True)
class Patience:
    """How long the loop bears what."""

    split_after: int = 2  # failures of a record in company before it is sent alone
    isolate_after: int = 5  # failures of a record while others go through before it leaves the round
    races: int = 10  # refusals below the target: each means another writer came between
    stalled_seconds: float = 5.0  # nothing settled for so long: hand back, the workflow waits on a timer
    alone: bool = False  # the record is the only one: what takes too long is its own
    in_trouble: int = 100  # records waiting for a retry before no fresh one is begun (4 batches)
