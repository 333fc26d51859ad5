"""Whether the table is still the one that was planned for: asked before work begins, and before it is done."""

from __future__ import annotations

import time
from dataclasses import dataclass

from activities.clients import Clients
from reindexer.dynamo.identity import identity_fault
from reindexer.dynamo.table import CallFailed
from reindexer.dynamo.taxonomy import Action
from reindexer.models import Fault, Stop, Target
from reindexer.pulse import Pulse

#: Seconds for which one answer serves a process's isolated records: many run beside each other, and
#: DescribeTable is not made for hundreds of calls a second. A round works for longer on one answer.
_FRESH_SECONDS = 5.0


@dataclass(frozen=True)
class Standing:
    """Why work cannot begin or end now; `fault` only where somebody has to mend something."""

    stop: Stop
    fault: Fault | None = None
    throttle: str | None = None


class Identities:
    """Asks DynamoDB which table answers to a target's name."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._seen: dict[tuple[str, str], float] = {}  # (ARN, id) → when it was last seen to be right

    def trouble(self, target: Target, pulse: Pulse, *, fresh: bool = True) -> Standing | None:
        """None: it is that table. `fresh` False: an answer of the last seconds will do."""
        name = (target.table_arn, target.table_id)
        if not fresh and time.monotonic() - self._seen.get(name, float("-inf")) < _FRESH_SECONDS:
            return None
        try:
            fault = identity_fault(self._clients.table(target), *name, pulse)
        except CallFailed as failed:  # throttled, or nobody there: it may pass, and is waited for as in a round
            waits = failed.failure.action is Action.WAIT
            scope = failed.failure.scope
            return Standing(Stop.THROTTLED if waits else Stop.UNAVAILABLE, None, scope.value if scope else None)
        if fault is None:
            self._seen[name] = time.monotonic()
            return None
        return Standing(Stop.TOLD) if fault.code == Stop.TOLD.name else Standing(Stop.FAULT, fault)
