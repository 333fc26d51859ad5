"""What the delivery loop carries, and how long it bears what."""

from __future__ import annotations

from dataclasses import dataclass

from reindexer.items import WireKey, Write, to_json_key
from reindexer.jobs.bounded import TimeLimit
from reindexer.models import Isolated
from reindexer.sinks.evidence import MARK_OVERWRITTEN


@dataclass(slots=True)
class PendingWrite:
    """One record under way."""

    position: int  # in its page
    key: WireKey
    write: Write
    unknown: bool = False  # a write was sent whose answer never came
    failures: int = 0  # errors that may be the record's own; throttles are not
    races: int = 0  # refused, yet the stored item was below the target
    throttles: int = 0
    alone: bool = False  # to be sent in a call of its own
    not_before: float = 0.0  # monotonic seconds
    mark: int = -1  # how many records had got an outcome when it first failed; -1: it has not
    error: str = ""
    message: str = ""
    settled: bool = False  # it has left the loop
    deleting: bool = False  # this run's delete mark is on it

    def isolated(self, *, given_up: bool) -> Isolated:
        """The record as it leaves the loop without an outcome."""
        return Isolated(
            key=to_json_key(self.key),
            error=self.error,
            message=self.message,
            attempts=self.failures + self.races + self.throttles + given_up,
            unknown=self.unknown or self.deleting,
            given_up=given_up,
            deleting=self.deleting,
            marked=self.deleting or self.error == MARK_OVERWRITTEN or (self.write.mark and self.unknown),
        )


@dataclass(frozen=True)
class Patience:
    """How long the loop bears what."""

    split_after: int = 2  # failures of a record in company before it is sent alone
    isolate_after: int = 5  # failures of a record while others go through before it leaves the round
    races: int = 10  # refusals below the target: each means another writer came between
    stalled_seconds: float = 5.0  # nothing settled for so long: hand back, the workflow waits on a timer
    alone: bool = False  # the record is the only one: what takes too long is its own
    in_trouble: int = 100  # records waiting for a retry before no fresh one is begun (4 batches)

    def gives_up(self, error: Exception) -> bool:
        """Whether what its function raised is the end of a record; else it is tried once more, alone."""
        return self.alone or not isinstance(error, TimeLimit)


#: For a record that may be left alone, yet to which a write was sent whose answer never came: the stamp and
#: nothing else. After it that write can no longer land.
FENCE = Write()
