"""Stream shards whose calls fail while others are read: since when, with what, and when they are tried next."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from reindexer.answers import Action, CallFailed, Failure
from reindexer.errors import cut
from reindexer.models.streams import Failing, ShardId
from reindexer.throttle import backoff

#: Seconds after which a shard counts as failing: as long as a scan's page is asked for again without a word.
_SHOWN_SECONDS = 5.0
#: Bytes of what the service said: it travels in heartbeats and in a memo of 2 KB.
_SAID_BYTES = 200


@dataclass(slots=True)
class _Trouble:
    failure: Failure
    since: datetime
    began: float  # monotonic
    tries: int
    not_before: float  # monotonic


class FailingShards:
    """Of one round."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._shards: dict[ShardId, _Trouble] = {}

    def waits(self, shard: ShardId, now: float) -> bool:
        """Whether it has failed, and it is too early to try again."""
        trouble = self._shards.get(shard)
        return trouble is not None and now < trouble.not_before

    def add(self, shard: ShardId, failure: Failure, now: float) -> None:
        """Its call has failed."""
        before = self._shards.get(shard)
        since, began = (before.since, before.began) if before else (self._clock(), now)
        tries = before.tries + 1 if before else 1
        wait = backoff(tries, throttled=failure.action is Action.WAIT)
        self._shards[shard] = _Trouble(failure, since, began, tries, now + wait)

    def remove(self, shard: ShardId) -> None:
        """It has answered."""
        self._shards.pop(shard, None)

    def raise_where_all(self, reading: Collection[ShardId]) -> None:
        """Raises `CallFailed` where none of these answers: whoever catches it waits for all of them."""
        if reading and all(shard in self._shards for shard in reading):
            first = min((self._shards[shard] for shard in reading), key=lambda trouble: trouble.began)
            for trouble in self._shards.values():
                trouble.not_before = 0.0
            raise CallFailed(first.failure)

    def longest(self, reading: Collection[ShardId], before: Failing | None, now: float) -> Failing | None:
        """Of these the one that has failed for longest, if that is long. `before`: of the round before."""
        found = [
            self._shown(shard, before)
            for shard in reading
            if (trouble := self._shards.get(shard))
            and (now - trouble.began >= _SHOWN_SECONDS or (before and before.shard == shard))
        ]
        return min(found, key=lambda failing: failing.since_ms, default=None)

    def _shown(self, shard: ShardId, before: Failing | None) -> Failing:
        trouble = self._shards[shard]
        since = _ms(trouble.since)
        return Failing(
            shard=shard,
            since_ms=before.since_ms if before and before.shard == shard else since,
            said=cut(f"{trouble.failure.code}: {trouble.failure.message}", _SAID_BYTES),
            throttled=trouble.failure.action is Action.WAIT,
            known=trouble.failure.known,
        )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
