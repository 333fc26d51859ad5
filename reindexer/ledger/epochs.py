"""The epochs of destinations: each complete backfill of one takes a higher number than all before it."""

from __future__ import annotations

from reindexer.errors import Refused
from reindexer.ledger.store import ConditionFailed, Store, text

_EPOCH = "epoch"


class Epochs:
    """By destination, whatever its name is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def last(self, destination: str) -> int | None:
        """The last one taken, in milliseconds; None: none yet."""
        item = self._store.get(_partition(destination), _EPOCH)
        return None if item is None else int(item[_EPOCH]["N"])

    def source_of(self, destination: str) -> str:
        """The table that fills it, by its ARN; "": an older version of this program took its last epoch."""
        item = self._store.get(_partition(destination), _EPOCH)
        return text(item, "source") if item and "source" in item else ""

    def take(self, destination: str, epoch: int, run: str, source: str = "") -> None:
        """Take an epoch for a run. May be repeated. Raises `Refused` where it is not above the last.

        `source`: as `source_of` is to answer.
        """
        item = {
            "pk": {"S": _partition(destination)},
            "sk": {"S": _EPOCH},
            _EPOCH: {"N": str(epoch)},
            "run": {"S": run},
            **({"source": {"S": source}} if source else {}),
        }
        try:
            self._store.call(
                "put_item",
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR #e < :e OR (#e = :e AND #r = :r)",
                ExpressionAttributeNames={"#e": _EPOCH, "#r": "run"},
                ExpressionAttributeValues={":e": {"N": str(epoch)}, ":r": {"S": run}},
            )
        except ConditionFailed as failed:
            raise Refused(
                f"{destination} has had epoch {self.last(destination)} since this job was planned with "
                f"{epoch}; start it again",
                "EpochTaken",
            ) from failed

    def keep_index(self, destination: str, epoch: int, index: str) -> None:
        """Note which index an epoch fills, where it is not one of its own. May be repeated."""
        item = {"pk": {"S": _partition(destination)}, "sk": {"S": _index(epoch)}, "index": {"S": index}}
        self._store.call("put_item", Item=item)

    def index_of(self, destination: str, epoch: int) -> str | None:
        """That index; None: the epoch has one of its own."""
        item = self._store.get(_partition(destination), _index(epoch))
        return None if item is None else text(item, "index")


def _index(epoch: int) -> str:
    return f"index#{epoch}"


def _partition(destination: str) -> str:
    return f"destination#{destination}"
