"""Digests of records that a run has read with a stamp, for a job that removes stamps.

They lie with what else the run keeps, so that the end of the job clears them; what is of no use before that is
dropped on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

from reindexer.ledger.kept import kept_partition
from reindexer.ledger.store import Store
from reindexer.models import ShardPlace

#: Digests of one item: 240 KB of the 400 KB that DynamoDB takes. A page of a scan has a thousand at most.
_PER_ITEM = 30_000


class SeenStamps:
    """By shard, in the order of its rows: `end` is a number of rows from the shard's beginning."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, place: ShardPlace, end: int, attempt: str, digests: Sequence[bytes]) -> None:
        """Keep those of a page that ends there. `attempt`: whose page; another's is kept beside it."""
        for number, start in enumerate(range(0, len(digests), _PER_ITEM)):
            some = digests[start : start + _PER_ITEM]
            item = {
                "pk": {"S": kept_partition(place.job, place.run)},
                "sk": {"S": f"{_prefix(place)}{end:012}#{attempt}#{number:03}"},
                "digests": {"B": b"".join(some)},
                "bytes": {"N": str(len(some[0]))},  # of each
            }
            self._store.call("put_item", Item=item)

    def since(self, place: ShardPlace, start: int) -> set[bytes]:
        """Those of pages that end after `start`."""
        found: set[bytes] = set()
        partition, prefix = kept_partition(place.job, place.run), _prefix(place)
        for item in self._store.query(partition, prefix=prefix, after=f"{prefix}{max(0, start):012}#~"):
            whole, each = bytes(item["digests"]["B"]), int(item["bytes"]["N"])
            found.update(whole[at : at + each] for at in range(0, len(whole), each))
        return found

    def drop(self, place: ShardPlace, start: int) -> int:
        """Delete those of pages that end at `start` or before; returns the number of items."""
        partition, prefix, dropped = kept_partition(place.job, place.run), _prefix(place), 0
        for item in self._store.query(partition, prefix=prefix, only="sk"):
            if int(item["sk"]["S"].removeprefix(prefix).partition("#")[0]) > start:
                break
            self._store.call("delete_item", Key={"pk": {"S": partition}, "sk": item["sk"]})
            dropped += 1
        return dropped


def _prefix(place: ShardPlace) -> str:
    return f"seen#{place.index:03}#"
