"""What DynamoDB charges by, and what of it a copied record takes."""

from __future__ import annotations

import math

WRITE_UNIT, READ_UNIT = 1024, 4096  # bytes of a write, and of a consistent read (DynamoDB's units)
#: Calls a day for a stream shard at rest, which is read once a second: each is one stream read unit.
POLLS_A_DAY = 86_400
#: What a copy has besides: names of 12 characters, 19 digits, two of them a byte and one more; 8 characters.
COPY_BYTES = 12 + 11 + 12 + 8


def units_of_copy(size_bytes: int, items: int) -> int:
    """Write units of a record of average size in a replica, without those of indexes."""
    return max(1, math.ceil((size_bytes / items if items else 0.0) / WRITE_UNIT + COPY_BYTES / WRITE_UNIT))
