"""What a run has read with a stamp, as rounds keep it in the ledger and ask for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar
from uuid import uuid4

from activities.ledger_answers import answered
from reindexer.errors import EnvironmentFault, Refused
from reindexer.ledger import Ledger
from reindexer.models import ClosingInput, RoundInput, ShardPlace
from reindexer.operations import verb_of
from reindexer.round_context import RoundContext
from reindexer.sinks.seen_stamps import DRIFT_ROWS

log = logging.getLogger(__name__)

R = TypeVar("R")


@contextmanager
def seen_by(
    ledger: Ledger, request: RoundInput | ClosingInput, context: RoundContext
) -> Iterator[LedgerSeen | None]:
    """What the request's shard has read with a stamp; None where its job leaves stamps, which tell it."""
    if request.place is None or not verb_of(request.target.operation).removes_stamps:
        yield None
        return
    seen = LedgerSeen(ledger, request.place, context, request.rows_read)
    try:
        yield seen
    finally:
        seen.close()


class LedgerSeen:
    """The `Seen` of one attempt, which heartbeats while the ledger is asked.

    What a round of this shard that begins at `rows_read` cannot need any more is dropped on the side.
    """

    def __init__(self, ledger: Ledger, place: ShardPlace, context: RoundContext, rows_read: int) -> None:
        self._ledger, self._place, self._context = ledger, place, context
        self._attempt = uuid4().hex[:8]  # 32 bits tell the attempts of one shard apart
        self._pool = ThreadPoolExecutor(2, "seen")  # one for what is waited for, one for what is not
        self._pool.submit(self._drop, rows_read - DRIFT_ROWS)

    def keep(self, end: int, digests: Sequence[bytes]) -> None:
        """Returns once the ledger has them. Raises `CallFailed`, `EnvironmentFault`."""
        self._answer(lambda: self._ledger.seen.put(self._place, end, self._attempt, digests))

    def since(self, start: int) -> set[bytes]:
        """Those of all attempts. Raises as `keep`."""
        return self._answer(lambda: self._ledger.seen.since(self._place, start - DRIFT_ROWS))

    def close(self) -> None:
        """No more calls; those that are out end by themselves."""
        self._pool.shutdown(wait=False)

    def _answer(self, call: Callable[[], R]) -> R:
        return answered(self._pool.submit(call), self._context)

    def _drop(self, start: int) -> None:
        try:
            if start > 0:
                self._ledger.seen.drop(self._place, start)
        except (EnvironmentFault, Refused) as error:  # the end of the job clears them
            log.warning("digests of shard %d were not dropped: %s", self._place.index, error)
