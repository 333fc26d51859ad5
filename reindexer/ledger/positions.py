"""How far follows have carried the changes of a table's stream: it outlives Temporal's retention.

Noted after each round. An older one does no harm: changes that are sent again are refused by their order.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping

from pydantic_core import from_json

from reindexer.ledger.store import Store, text
from reindexer.models import Lineages
from reindexer.models.streams import Ended, LineageCursor, LineageState, ShardId


class Positions:
    """By destination and epoch, one for each shard that follows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, destination: str, epoch: int, index: int, source: Lineages, cursor: LineageCursor) -> None:
        """Note where the shard goes on. Repeated or late, harmless."""
        lineages = source.model_copy(update={"reading": cursor.reading, "ended": cursor.ended, "passed": []})
        self._store.call(
            "put_item",
            Item={
                "pk": {"S": f"destination#{destination}"},
                "sk": {"S": f"{_prefix(epoch)}{index:03}"},
                "stream": {"S": source.stream_arn},
                # 2,000 stream shards take 40 KB, far below the 400 that DynamoDB takes.
                "lineages": {"B": zlib.compress(lineages.model_dump_json().encode())},
            },
        )

    def opened(self, destination: str, epoch: int, state: LineageState) -> None:
        """Keep what is known of the whole graph besides what shards read: what was passed, and its holes."""
        rest = state.model_copy(update={"reading": {}, "ended": {}})
        self._store.call(
            "put_item",
            Item={
                "pk": {"S": f"destination#{destination}"},
                "sk": {"S": f"graph#{epoch}"},
                "graph": {"B": zlib.compress(rest.model_dump_json().encode())},
            },
        )

    def graph(self, destination: str, epoch: int) -> LineageState | None:
        """What `opened` was given last."""
        item = self._store.get(f"destination#{destination}", f"graph#{epoch}")
        if item is None:
            return None
        return LineageState.model_validate(from_json(zlib.decompress(bytes(item["graph"]["B"]))))

    def note_ended(self, destination: str, epoch: int, ended: Mapping[ShardId, Ended]) -> None:
        """Note stream shards that were read to their end. Repeated or late, harmless."""
        for shard, end in ended.items():
            item = {
                "pk": {"S": f"destination#{destination}"},
                "sk": {"S": f"{_ended(epoch)}{shard}"},
                "ended": {"S": end.model_dump_json()},
            }
            self._store.call("put_item", Item=item)

    def ended(self, destination: str, epoch: int) -> dict[ShardId, Ended]:
        """Those that were noted and not forgotten."""
        prefix = _ended(epoch)
        return {
            text(item, "sk").removeprefix(prefix): Ended.model_validate_json(text(item, "ended"))
            for item in self._store.query(f"destination#{destination}", prefix=prefix)
        }

    def forget(self, destination: str, epoch: int, shards: Iterable[ShardId]) -> None:
        """Drop the notes of ended shards that no listing can refer to any more."""
        for shard in shards:
            key = {"pk": {"S": f"destination#{destination}"}, "sk": {"S": f"{_ended(epoch)}{shard}"}}
            self._store.call("delete_item", Key=key)

    def drop_before(self, destination: str, epoch: int) -> None:
        """Drop what was kept of earlier epochs: no follow goes on there any more."""
        partition = f"destination#{destination}"
        for kind in ("positions#", "ended#", "graph#", "scanned#"):
            for item in self._store.query(partition, prefix=kind, only="sk"):
                if int(text(item, "sk").split("#")[1]) < epoch:
                    self._store.call("delete_item", Key={"pk": {"S": partition}, "sk": item["sk"]})

    def scanned(self, destination: str, epoch: int) -> None:
        """Note that the scan of an epoch came to its end: from then on changes alone make it complete."""
        item = {"pk": {"S": f"destination#{destination}"}, "sk": {"S": f"scanned#{epoch}"}}
        self._store.call("put_item", Item=item)

    def was_scanned(self, destination: str, epoch: int) -> bool:
        """Whether it did."""
        return self._store.get(f"destination#{destination}", f"scanned#{epoch}") is not None

    def of(self, destination: str, epoch: int) -> Iterator[tuple[str, Lineages]]:
        """The stream of each shard, and where it goes on."""
        for item in self._store.query(f"destination#{destination}", prefix=_prefix(epoch)):
            content = zlib.decompress(bytes(item["lineages"]["B"]))
            yield text(item, "stream"), Lineages.model_validate(from_json(content))


def _ended(epoch: int) -> str:
    return f"ended#{epoch}#"


def _prefix(epoch: int) -> str:
    return f"positions#{epoch}#"
