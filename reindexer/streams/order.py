"""The order of writes to a destination: which of two is the newer, whoever sends them and however often.

`(epoch << 21) + ordinal`: the epoch is a backfill's, the ordinal a change's place along its lineage. A row of
the scan has ordinal 0, the floor; the first change of a lineage has 2. The order is a function of the record,
so that a retry sends the same one again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

#: Bits below the epoch. A lineage reaches the floor of an epoch that is a millisecond later after 2^21 changes:
#: it would have to hand out 2·10⁹ a second to overtake the clock.
ORDINAL_BITS = 21
#: Ordinals that no change has: of a row of the scan, and of what the scan has not written and is written after
#: it. That distinguishes such a write from the scan's, so that it is counted once, whoever has sent it.
SCANNED, SETTLED = 0, 1
#: A signed integer of 64 bits, which OpenSearch's external versions are.
MAX_ORDER = 2**63 - 1
#: The last epoch that fits, in milliseconds: in the year 2109.
MAX_EPOCH = MAX_ORDER >> ORDINAL_BITS
#: How far above the newest order of a lineage a stored one may lie and still be one of ours: 1.4·10¹¹ changes,
#: a year of 4,000 a second. What lies further above was written by another program.
FAR = 2**37
#: A change that is older than the opening by this is not sent: the scan, begun later, has what it left. Times
#: of changes are rounded down, by DynamoDB to the second and by DynamoDB Local to the minute.
BEFORE_OPENING = timedelta(minutes=10)
#: Until a tombstone of this age nothing that was sent before it can still land: longer than heartbeat time-out
#: plus the time-outs of client and server.
TOMBSTONE_KEPT = timedelta(minutes=15)


class Standing(StrEnum):
    """What a stored order says of a write that was refused by it."""

    OURS = "ours"  # this very write is there: an attempt whose answer never came
    NEWER = "newer"  # a later change of the same key is there
    FOREIGN = "foreign"  # no lineage of ours can have come so far: another program writes here
    OLDER = "older"  # it should not have been refused: what refused it has gone since


def order_of(epoch: int, ordinal: int) -> int:
    """The order of a change. `epoch` in milliseconds, at least 1. Raises `ValueError` beyond the bounds."""
    if not 1 <= epoch <= MAX_EPOCH:
        raise ValueError(f"an epoch is from 1 to {MAX_EPOCH} milliseconds (given: {epoch})")
    order = (epoch << ORDINAL_BITS) + ordinal
    if ordinal < 0 or order > MAX_ORDER:
        raise ValueError(f"no order has room for ordinal {ordinal} of epoch {epoch}")
    return order


def floor_of(epoch: int) -> int:
    """The order of every row that the epoch's scan finds: below all changes of the epoch."""
    return order_of(epoch, SCANNED)


def epoch_of(order: int) -> int:
    """The epoch whose floor is the next at or below, in milliseconds. A long lineage has outgrown its own."""
    return order >> ORDINAL_BITS


def next_epoch(now_ms: int, last: int | None = None, highest: int | None = None) -> int:
    """The epoch of a new backfill: above every earlier one, and its floor above every order stored.

    `last`: the destination's last epoch; `highest`: the highest order written to it or found in it. A clock
    that was put back does no harm. Raises `ValueError` where no epoch is left: a foreign order, by all
    likelihood.
    """
    above = (0 if last is None else last, 0 if highest is None else epoch_of(highest))
    epoch = max(now_ms, *(epoch + 1 for epoch in above))
    floor_of(epoch)
    return epoch


def applies(order: int, stored: int | None) -> bool:
    """Whether a write takes effect: strictly above what is stored, or nothing is."""
    return stored is None or order > stored


def standing(order: int, stored: int, newest: int) -> Standing:
    """What a refusal means. `newest`: the highest order that the write's own lineage has handed out."""
    if stored == order:
        return Standing.OURS
    if stored < order:
        return Standing.OLDER
    return Standing.NEWER if stored <= max(newest, order) + FAR else Standing.FOREIGN


def is_before_opening(changed: datetime, opening: datetime) -> bool:
    """Whether a change is left to the scan. Both times are the service's."""
    return changed < opening - BEFORE_OPENING
