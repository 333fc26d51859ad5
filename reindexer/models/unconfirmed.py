"""A write whose answer never came, as a round, a shard and a redrive hand it on."""

from __future__ import annotations

import operator

from pydantic import Field

from reindexer.items import Key, WireKey, key_bytes, text_bytes
from reindexer.models.model import Model

#: Bytes of JSON around the key and the name of the partition.
_FRAME_BYTES = len('{"key":,"deletion":true,"partition":},')


class Unconfirmed(Model):
    """A key to which a write was sent that may have landed."""

    key: Key
    #: It was the deletion of the record, which is not handed out again if it landed.
    deletion: bool = Field(default=False, exclude_if=operator.not_)
    #: It was the creation of the record in another table.
    creation: bool = Field(default=False, exclude_if=operator.not_)
    #: The partition that it was met in, where the job counts by partition.
    partition: str | None = Field(default=None, exclude_if=lambda value: value is None)


def unconfirmed_bytes(key: WireKey, partition: str | None) -> int:
    """Bytes of JSON that it takes in a heartbeat."""
    return key_bytes(key) + _FRAME_BYTES + (text_bytes(partition) if partition is not None else 0)
