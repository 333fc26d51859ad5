"""Records that a run has read with a stamp, where it removes stamps: the table does not show it afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Protocol

from reindexer.items import WireKey, key_identity

#: Bytes of a digest. A record that never had a stamp is taken for one of a million others once in 10^13.
DIGEST_BYTES = 8
#: Rows of a shard by which two reads of one place may differ, because other writers added or removed records in
#: between. What was kept further back than this belongs to rows that are counted.
DRIFT_ROWS = 10_000


class Seen(Protocol):
    """Kept outside of the table, by shard. Whatever is kept is found from then on, whoever asks.

    A place is a number of rows: those of the shard up to the end of a page. Both methods may raise `CallFailed`
    where they are worth another try, and `EnvironmentFault`.
    """

    def keep(self, end: int, digests: Sequence[bytes]) -> None:
        """Records of the page that ends at this place were read with a stamp, which is about to be removed."""
        ...

    def since(self, start: int) -> Collection[bytes]:
        """What was kept of pages that end after this place, less `DRIFT_ROWS`."""
        ...


def digest(key: WireKey) -> bytes:
    """Equal for two keys where DynamoDB takes them for one."""
    return hashlib.blake2b(repr(key_identity(key)).encode(), digest_size=DIGEST_BYTES).digest()
