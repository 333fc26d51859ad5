"""A round's tally, by partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reindexer.models import Isolated
from reindexer.tally import Tally, plus_each

#: Partitions a round comes to before it returns. A heartbeat carries them all: about 40 kB with short values,
#: and still below a payload's 2 MB where each has DynamoDB's longest (2,048 bytes, a third more in base64).
MOST_PARTITIONS = 500


class PartitionTallies:
    """What each partition had of the round's tally: the difference between its pages' beginning and end.

    So they always add up to that tally, whatever a round counts, and a source without partitions costs nothing.
    """

    def __init__(self, inherited: Mapping[str, Tally]) -> None:
        self._left = dict(inherited)  # of partitions before the one in hand, an earlier attempt's included
        self._partition: str | None = None
        self._since = Tally()

    def turn_to(self, partition: str | None, counted: Callable[[], Tally]) -> None:
        """The rows to come belong to `partition`; those `counted` so far, to the one before."""
        if partition == self._partition:
            return
        now = counted()
        self._left = self.upto(now)
        self._partition, self._since = partition, now

    @property
    def in_hand(self) -> str | None:
        """The partition that the rows in hand belong to."""
        return self._partition

    def upto(self, counted: Tally) -> dict[str, Tally]:
        """The tally by partition, where the round has counted so much."""
        since = counted - self._since if self._partition is not None else Tally()
        if self._partition is None or since == Tally():
            return self._left
        return plus_each(self._left, {self._partition: since})

    def marked(self, record: Isolated) -> Isolated:
        """The record as one of the partition in hand, so that its outcome is counted there later."""
        return (
            record.model_copy(update={"partition": self._partition}) if self._partition is not None else record
        )

    @property
    def many(self) -> bool:
        """Whether it is time to hand them back."""
        return len(self._left) >= MOST_PARTITIONS
