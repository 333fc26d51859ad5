"""Whether the job still holds its table's lock: asked before anything is written on its behalf.

A workflow that Temporal has reset replays that it took the lock, which it may have given back since.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait

from activities.clients import Clients
from activities.identity import TableTrouble
from reindexer.errors import EnvironmentFault, Refused, Unavailable
from reindexer.models import Fault, LockInput, Stop
from reindexer.round_context import TICK_SECONDS, RoundContext

#: Seconds for which one answer serves whatever a process begins: isolated records may be hundreds a second.
_FRESH_SECONDS = 1.0
#: Questions at once in a process. A ledger that does not answer is given up after seconds.
_THREADS = 4


class LockHeld:
    """Asks the ledger, for a process."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._pool = ThreadPoolExecutor(_THREADS, "holding")
        self._seen: dict[LockInput, float] = {}  # → when the last good answer was asked for

    def trouble_before(self, lock: LockInput | None, context: RoundContext) -> TableTrouble | None:
        """None: work may begin, for the lock was the job's within the last second, or it has none."""
        asked = time.monotonic()
        if lock is None or asked - self._seen.get(lock, float("-inf")) < _FRESH_SECONDS:
            return None
        answer = self._pool.submit(self._ask, lock)  # its client may take longer than a heartbeat
        while not wait([answer], timeout=TICK_SECONDS).done:
            context.heartbeat()
            if context.stopping():
                return TableTrouble(Stop.ASKED)
        trouble = answer.result()
        if trouble is None:
            self._seen[lock] = asked
        return trouble

    def _ask(self, lock: LockInput) -> TableTrouble | None:
        try:
            lost = self._clients.ledger.locks.lost(lock)
        except Unavailable:
            return TableTrouble(Stop.UNAVAILABLE)
        except EnvironmentFault as error:
            return TableTrouble(Stop.FAULT, Fault.of(error))
        except Refused as error:
            return TableTrouble(Stop.FAULT, Fault(code=error.kind, message=str(error)))
        return TableTrouble(Stop.FAULT, Fault(code="LockLost", message=lost)) if lost else None
