"""Others who write to a table while it is followed: they put, update and delete rows, past every proxy."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from evidence.exactness.scenes import Item

_WRITERS = 2  # threads: changes of one key come from both
_EACH = 0.015  # seconds between two writes of one of them: some hundred a second in all
_DELETED, _UPDATED = 0.3, 0.5  # parts of the writes up to which they delete, and then update; the others put


class Writers:
    """`row(number, written)`: a row as the `written`-th write puts it. `keys`: rows that come and go.

    `steady`: rows below it are never deleted.
    """

    def __init__(
        self, client: Any, table: str, row: Callable[[int, int], Item], keys: int, steady: int
    ) -> None:
        self._client, self._table, self._row = client, table, row
        self._keys, self._steady = keys, steady
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(_WRITERS)]

    @contextmanager
    def at_work(self) -> Iterator[Writers]:
        """For the block, or until `stop`."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """Write no more; returns once the last write is done."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, writer: int) -> None:
        draw, written = random.Random(writer), writer
        while not self._stop.wait(_EACH):
            self._write(draw, draw.randrange(self._keys), written)
            written += _WRITERS

    def _write(self, draw: random.Random, number: int, written: int) -> None:
        row, lot = self._row(number, written), draw.random()
        key = {"id": row["id"]}
        if lot < _DELETED and number >= self._steady:
            self._client.delete_item(TableName=self._table, Key=key)
        elif lot < _UPDATED and number < self._steady:  # one that is gone would come back as half a row
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="SET #size = :size",
                ExpressionAttributeNames={"#size": "size"},
                ExpressionAttributeValues={":size": row["size"]},
            )
        else:
            self._client.put_item(TableName=self._table, Item=row)
