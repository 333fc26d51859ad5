"""Consistent reads of named keys, complete: UnprocessedKeys are asked for until none is left."""

from __future__ import annotations

import time
from collections.abc import Sequence

from reindexer.answers import Action, CallFailed, Failure
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.dynamo.wire import projection
from reindexer.items import WireItem, WireKey, key_identity
from reindexer.round_context import RoundContext
from reindexer.throttle import backoff

#: Calls that bring nothing before it is given up: with full jitter up to 1 s about 4 s in all.
_IDLE_CALLS = 8


def read_consistently(
    table: TableClient,
    keys: Sequence[WireKey],
    reads: tuple[str, ...] | None,
    context: RoundContext | None = None,
) -> tuple[dict[tuple[object, ...], WireItem], float]:
    """(items by key identity, read units). A key that is not among them does not exist.

    `reads` None asks for whole items. Raises `CallFailed` when nothing comes back for long, or when it was
    asked to stop meanwhile; never a guess: requested − returned − unprocessed is the only evidence that a key
    is gone.
    """
    asked = None if reads is None else tuple(dict.fromkeys((*(keys[0] if keys else ()), *reads)))
    shape = projection(asked) if asked else {}
    found: dict[tuple[object, ...], WireItem] = {}
    consumed, idle = 0.0, 0
    pending = list({key_identity(key): key for key in keys}.values())  # BatchGetItem takes each key once
    while pending:
        names = tuple(pending[0])
        now, later = pending[:KEYS_PER_CALL], pending[KEYS_PER_CALL:]
        failure = Failure("UnprocessedKeys", "nothing was read", Action.WAIT, False, "throttled")
        if context:
            context.heartbeat()  # a call may take as long as its read time-out
        try:
            items, unprocessed, units = table.get_some(now, shape)
        except CallFailed as failed:
            failure = failed.failure
            if failure.action not in (Action.WAIT, Action.RETRY):
                raise
            items, unprocessed, units = [], now, 0.0
        consumed += units
        for item in items:
            found[key_identity({name: item[name] for name in names})] = item
        idle = 0 if len(unprocessed) < len(now) else idle + 1
        pending = unprocessed + later
        if not idle:
            continue
        if idle > _IDLE_CALLS or (context and context.stopping()):
            raise CallFailed(failure)
        if context:
            context.wait(
                backoff(idle, cap=1.0)
            )  # seconds; the idle calls together stay below a heartbeat timeout
        else:
            time.sleep(backoff(idle, cap=1.0))
    return found, consumed
