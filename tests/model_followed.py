"""A table in memory whose changes are in a stream in memory, and rounds that carry them into an index."""

from __future__ import annotations

from typing import Any

from reindexer.dynamo.table import TableClient
from reindexer.models import KeyList, Lineages, RoundInput, RoundResult
from reindexer.models.streams import Followed
from reindexer.streams.client import StreamCalls
from reindexer.table_rounds import Cluster, make_round
from tests.driving import PATIENCE, FakeContext
from tests.immediate_executor import ImmediateExecutor
from tests.model_index import ModelIndex, index_target
from tests.model_stream import NOON, ModelStream, begun
from tests.model_table import ModelTable


class ImageStream(ModelStream):
    """Its records have the images that a table's do. `images`: by sequence number; None: of a deletion."""

    def __init__(self, *, carries_images: bool) -> None:
        super().__init__()
        self.images: dict[int, dict[str, Any] | None] = {}
        self.old_images: dict[int, dict[str, Any] | None] = {}  # None: the record was not there
        self.carries_images = carries_images

    def _record(self, number: int) -> dict[str, Any]:
        record, image, old = super()._record(number), self.images[number], self.old_images[number]
        record["eventName"] = "REMOVE" if image is None else "INSERT" if old is None else "MODIFY"
        record["dynamodb"]["Keys"] = key_of(self.written[number].key)
        if image is not None and self.carries_images:
            record["dynamodb"]["NewImage"] = image
        if old is not None and self.carries_images:
            record["dynamodb"]["OldImage"] = old
        return record

    def change(self, key: int, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """One more record; None: it was, or is, not there."""
        self.write(key)
        number = max(self.written)
        self.images[number], self.old_images[number] = new, old


class FollowedTable:
    """`table` is what is there now; `stream` how it came to be so."""

    def __init__(self, *, images: bool = True) -> None:
        self.stream, self.table = ImageStream(carries_images=images), ModelTable([])
        self.source = Lineages(stream_arn="arn", opened_at=NOON, reading=begun(self.stream).reading)

    def put(self, key: int, n: int) -> None:
        item = {**key_of(key), "n": {"N": str(n)}}
        self._changed(key, item)
        self.table.rows[self.table.identity(item)] = item

    def delete(self, key: int) -> None:
        self._changed(key, None)
        self.table.rows.pop(self.table.identity(key_of(key)), None)

    def _changed(self, key: int, image: dict[str, Any] | None) -> None:
        self.stream.change(key, self.table.rows.get(self.table.identity(key_of(key))), image)

    @property
    def documents(self) -> dict[str, int]:
        """What an index has to hold."""
        return {item["id"]["S"]: int(item["n"]["N"]) for item in self.table.rows.values()}

    def round(self, index: ModelIndex, context: FakeContext | None = None, **request: Any) -> RoundResult:
        """Five seconds of following, from the beginning unless `request` says otherwise."""
        fields: dict[str, Any] = {"target": index_target(), "source": self.source, "seconds": 5.0, **request}
        cluster = Cluster(index, StreamCalls(self.stream, "arn", ImmediateExecutor()))
        client = TableClient(self.table, "t")  # type: ignore[arg-type]
        context = context or FakeContext(self.table.clock)
        return make_round(RoundInput(**fields), client, context, PATIENCE, second=cluster).run()

    def redrive(self, index: ModelIndex, key: int, order: int) -> RoundResult:
        """One record that was given up, by itself."""
        return self.round(index, source=KeyList(keys=[key_of(key)], orders=[order]))


def key_of(key: int) -> dict[str, Any]:
    return {"id": {"S": f"k{key}"}}


def held(index: ModelIndex) -> dict[str, int]:
    """The documents that readers see."""
    return {name: document["n"] for name, document in index.stored_documents.items() if "_gone" not in document}


def followed_by(result: RoundResult) -> Followed:
    assert result.progress.followed is not None
    return result.progress.followed
