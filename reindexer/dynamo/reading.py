"""Consistent reads of named keys, complete: UnprocessedKeys are asked for until none is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from reindexer.dynamo.table import CallFailed, TableClient
from reindexer.dynamo.taxonomy import Action, Failure
from reindexer.dynamo.wire import projection
from reindexer.items import WireItem, WireKey, key_identity
from reindexer.throttle import backoff

#: Calls that bring nothing before it is given up: with full jitter up to 1 s about 4 s in all.
_IDLE_CALLS = 8
_KEYS_PER_CALL = 100  # DynamoDB's limit


def read_consistently(
    table: TableClient,
    keys: Sequence[WireKey],
    reads: tuple[str, ...] | None,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[dict[tuple[object, ...], WireItem], float]:
    """(items by key identity, read units). A key that is not among them does not exist.

    `reads` None asks for whole items. Raises `CallFailed` when nothing comes back for long, never a guess:
    requested − returned − unprocessed is the only evidence that a key is gone.
    """
    asked = None if reads is None else tuple(dict.fromkeys((*(keys[0] if keys else ()), *reads)))
    shape = projection(asked) if asked else {}
    found: dict[tuple[object, ...], WireItem] = {}
    consumed, idle = 0.0, 0
    pending = list(keys)
    while pending:
        names = tuple(pending[0])
        try:
            items, unprocessed, units = table.get_some(pending[:_KEYS_PER_CALL], shape)
        except CallFailed as failed:
            if failed.failure.action not in (Action.WAIT, Action.RETRY) or idle >= _IDLE_CALLS:
                raise
            items, unprocessed, units = [], pending[:_KEYS_PER_CALL], 0.0
        consumed += units
        for item in items:
            found[key_identity({name: item[name] for name in names})] = item
        progressed = len(unprocessed) < len(pending[:_KEYS_PER_CALL])
        pending = unprocessed + pending[_KEYS_PER_CALL:]
        idle = 0 if progressed else idle + 1
        if not progressed:
            if idle > _IDLE_CALLS:
                raise CallFailed(
                    Failure("UnprocessedKeys", "nothing was read", Action.WAIT, False, "throttled")
                )
            wait(backoff(idle, cap=1.0))  # seconds; a shard's own pulse keeps beating between calls
    return found, consumed
