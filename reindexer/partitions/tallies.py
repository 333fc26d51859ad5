"""A round's tally, by partition."""

from __future__ import annotations

from collections.abc import Callable

from reindexer.items import text_bytes
from reindexer.models import Isolated
from reindexer.tally import Tally, plus_each

#: Partitions a round comes to before it returns: a heartbeat carries them all, about 40 kB with short values.
MAX_PARTITIONS = 500
#: The same in bytes of JSON: with DynamoDB's longest values (2,048 bytes, a third more in base64) about 90.
MAX_PARTITIONS_BYTES = 256 * 1024
_TALLY_BYTES = 150  # of JSON: eight counts with their names


class PartitionTallies:
    """What each partition had of the round's tally: the difference between its pages' beginning and end.

    So they always add up to that tally, whatever a round counts, and a source without partitions costs nothing.
    """

    def __init__(self) -> None:
        self._left: dict[str, Tally] = {}  # of partitions before the one in hand
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
        size = sum(text_bytes(name) + _TALLY_BYTES for name in self._left)
        return len(self._left) >= MAX_PARTITIONS or size >= MAX_PARTITIONS_BYTES
