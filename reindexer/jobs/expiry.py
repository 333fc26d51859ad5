"""Records past their time to live (TTL), which DynamoDB deletes at its leisure."""

from __future__ import annotations

from decimal import Decimal

from reindexer.items import WireItem
from reindexer.models import Expiry

#: DynamoDB never expires an item whose TTL is further in the past, so that what is no time is no danger.
MAX_SECONDS_PAST = 5 * 365 * 86_400  # five years; a day or two short of them is on the safe side


def expired(expiry: Expiry | None, item: WireItem) -> bool:
    """Whether the item had expired at the job's moment. An attribute of another type than N says nothing."""
    if expiry is None:
        return False
    number = item.get(expiry.attribute, {}).get("N")
    return number is not None and expiry.first <= Decimal(number) < expiry.before
