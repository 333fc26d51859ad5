"""Whether the table is still the one that was planned for: asked before work begins, and before it is done."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from activities.clients import Clients
from reindexer.answers import Action, CallFailed
from reindexer.dynamo.identity import identity_fault
from reindexer.models import Fault, OtherTable, Stop, Target
from reindexer.round_context import RoundContext

#: Seconds for which one answer serves whatever a process begins: a round works for longer on one, and AWS takes
#: longer to delete a table and create it again. DescribeTable is not made for hundreds of calls a second.
_FRESH_SECONDS = 5.0
#: Seconds to wait for another thread that is asking. A heartbeat may be late by that much.
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class TableTrouble:
    """Why work cannot begin or end now; `fault` only where someone has to fix something."""

    stop: Stop
    fault: Fault | None = None
    throttle: str | None = None


class Identities:
    """Asks DynamoDB which table answers to a target's name, for a process."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._seen: dict[tuple[str, str], float] = {}  # (ARN, id) → when the last good answer was asked for
        self._asking: dict[tuple[str, str], threading.Lock] = {}

    def trouble_before(self, target: Target | OtherTable, context: RoundContext) -> TableTrouble | None:
        """None: work may begin, for it was that table in the last seconds."""
        return self._trouble(target, context, time.monotonic() - _FRESH_SECONDS)

    def trouble_after(self, target: Target | OtherTable, context: RoundContext) -> TableTrouble | None:
        """None: what was done until now was done to that table."""
        return self._trouble(target, context, time.monotonic())

    def _trouble(self, target: Target | OtherTable, context: RoundContext, since: float) -> TableTrouble | None:
        """Of those who want to know at the same time one asks, and the others take its answer."""
        name = (target.table_arn, target.table_id)
        if self._known(name, since):  # no one is waited for
            return None
        asking = self._asking.setdefault(name, threading.Lock())
        held = asking.acquire(timeout=_PATIENCE_SECONDS)
        try:
            return None if self._known(name, since) else self._ask(target, name, context)
        finally:
            if held:
                asking.release()

    def _known(self, name: tuple[str, str], since: float) -> bool:
        return self._seen.get(name, float("-inf")) >= since

    def _ask(
        self, target: Target | OtherTable, name: tuple[str, str], context: RoundContext
    ) -> TableTrouble | None:
        asked = time.monotonic()
        try:
            fault = identity_fault(self._clients.table(target), *name, context)
        except CallFailed as failed:  # throttled, or no one there: it may pass, and is waited for as in a round
            if not failed.failure.known:
                fault = Fault.of(failed.failure)
                return TableTrouble(Stop.FAILED, fault)
            waits = failed.failure.action is Action.WAIT
            scope = failed.failure.scope
            return TableTrouble(
                Stop.THROTTLED if waits else Stop.UNAVAILABLE, None, scope.value if scope else None
            )
        if fault is None:
            self._seen[name] = asked
            return None
        return TableTrouble(Stop.ASKED) if fault.code == Stop.ASKED.name else TableTrouble(Stop.FAULT, fault)
