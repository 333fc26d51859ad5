"""compare_segment: one part of two tables, compared key by key: of a scan, partitions, or keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from reindexer.compare.checkpoint import Checkpoint, Keep
from reindexer.compare.documents import DocumentTerms, IndexSide, MadeSide
from reindexer.compare.made_documents import Made
from reindexer.compare.named_keys import Named
from reindexer.compare.parts import NOTHING, parts_of
from reindexer.compare.reading_together import Meeting
from reindexer.compare.rows import Rules, Terms
from reindexer.compare.side import Side, TableSide
from reindexer.compare.window import Window
from reindexer.dynamo.attempts import Attempts
from reindexer.dynamo.calls import Calls
from reindexer.dynamo.other_table import said_of
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Interrupted, one_line
from reindexer.models import DocumentRange, Fault, KeyList
from reindexer.models.comparison import CompareInput, CompareResult
from reindexer.round_context import RoundContext
from reindexer.search.client import SearchClient

log = logging.getLogger(__name__)

#: Rows and bytes of one side that may wait for their counterparts. Tables that are scanned in one order meet
#: within a page; sixteen rounds of a process hold at most a few hundred MB.
_MAX_ROWS, _MAX_BYTES = 2000, 4 * 1024 * 1024
#: Differences kept together. 1,000 are some 300 KB of JSON, and a tenth of that compressed.
_KEPT_TOGETHER = 1000


class Bounds(NamedTuple):
    """Of one side, what may wait for the other: rows, and bytes; and how many differences are kept together."""

    rows: int = _MAX_ROWS
    bytes: int = _MAX_BYTES
    kept_together: int = _KEPT_TOGETHER


_BOUNDS = Bounds()

#: The table, and what it is compared with: another one, or the index that the target names.
Compared: TypeAlias = tuple[TableClient, TableClient | SearchClient]


def compare_segment(
    request: CompareInput,
    tables: Compared,
    context: RoundContext,
    keep: Keep,
    *,
    bounds: Bounds = _BOUNDS,
    clock: Callable[[], float] = time.time,
) -> CompareResult:
    """Compare a part of both tables, on from the cursor. Writes to neither; differences go to `keep`.

    Stops at the end of the time slice or when asked to, with `cursor` where to go on and `done` False. Each key
    is judged once: with the table's row where there is one, else with the other table's. What is not equal at
    first sight is confirmed by reading both again. Memory is bounded, whatever differs and in whatever order
    rows come. Waits out throttles; where there is nothing else for 5 s it hands back as `throttled`. A broken
    environment is returned as `fault`. What `keep` has taken may be handed to it again under its number: then
    it takes the place of what it was.

    Of a table and an index one part is either records, each of which is looked up there, or documents, each of
    whose records is: their two orders have nothing in common.
    """
    comparing = _Comparing(request, tables, context, keep, bounds, clock)
    try:
        comparing.run()
    except Interrupted:  # in a job's function: what was settled before counts
        pass
    except EnvironmentFault as error:  # the ledger cannot be written, or the job is not there
        comparing.fail(Fault.of(error))
    except Exception as error:  # a defect: what was counted before is not lost for it
        log.exception("comparison of %s failed", request.target.table)
        comparing.fail(Fault(code=type(error).__name__, message=one_line(error)))
    return comparing.result()


class Way(Protocol):
    """How a shard's keys are come by."""

    def work(self) -> bool:
        """As far as the time slice goes. True: to the end."""
        ...

    def finish(self) -> None:
        """What has to be done beyond the time slice, so that a round gets somewhere."""
        ...


#: Both sides, the terms, the lag, and what the other side is called.
_Made: TypeAlias = tuple[tuple[Side, Side], Terms, float, str]


def _table_sides(
    request: CompareInput, tables: tuple[TableClient, TableClient], context: RoundContext
) -> _Made:
    target, share, other = request.target, request.share, request.target.other
    assert other is not None, "compared with what?"
    parts = parts_of(request.source, target.within)
    calls = [
        Calls(table, context, rate, request.seconds)
        for table, rate in zip(tables, (share.read_units, share.other_read_units), strict=True)
    ]
    sides = TableSide(calls[0], target.key, parts), TableSide(calls[1], target.key, parts)
    return sides, Rules(other.left_out, other.expiries), other.lag_seconds, f"the other table, {other.table}"


def _index_sides(
    request: CompareInput,
    clients: tuple[TableClient, SearchClient],
    context: RoundContext,
    clock: Callable[[], float],
) -> _Made:
    target, source, search = request.target, request.source, request.target.search
    assert search is not None, "compared with what?"
    made = Made(target, clients[1], context)
    ranges = [source] if isinstance(source, DocumentRange) else []
    calls = Calls(clients[0], context, request.share.read_units, request.seconds)
    parts = NOTHING if ranges else parts_of(source, target.within)
    first = MadeSide(calls, made, parts, search.ttl, clock)
    other = IndexSide(Attempts(context, request.seconds), made, ranges)
    return (first, other), DocumentTerms(), search.lag_seconds, f"the index {search.index}"


class _Comparing:
    def __init__(
        self,
        request: CompareInput,
        tables: Compared,
        context: RoundContext,
        keep: Keep,
        bounds: Bounds,
        clock: Callable[[], float],
    ) -> None:
        if isinstance(tables[1], SearchClient):
            made = _index_sides(request, (tables[0], tables[1]), context, clock)
        else:
            made = _table_sides(request, (tables[0], tables[1]), context)
        sides, terms, lag, self._other_name = made
        self._first, self._other = sides
        window = Window(bounds.rows, bounds.bytes)
        self._checkpoint = Checkpoint(request, sides, window, context, keep, bounds.kept_together)
        self._way: Way
        if isinstance(request.source, KeyList):
            keys = request.source.keys
            self._way = Named(keys, sides, window, self._checkpoint, terms, context, clock, lag)
        else:
            self._way = Meeting(sides, window, self._checkpoint, terms, context, clock, lag)
        self._done = False
        context.heartbeat(self._checkpoint.covered)

    def run(self) -> None:
        """Until every row has its outcome, or as far as this round may go: some way in any case."""
        self._done = self._way.work()
        if not self._done:
            self._way.finish()
        self._checkpoint.flush()

    def fail(self, fault: Fault) -> None:
        """It cannot go on, for this reason."""
        self._first.calls.fail(fault)

    def result(self) -> CompareResult:
        """The counts and where to go on: they cover exactly the rows up to the cursor."""
        first, other = self._first.calls, self._other.calls
        fault = first.fault or (other.fault and said_of(other.fault, self._other_name))
        result = self._checkpoint.covered()
        covered = self._done and self._checkpoint.ended
        return result.model_copy(
            update={
                "done": covered and fault is None,
                "fault": fault,
                "throttled": first.throttled or other.throttled,
                "throttle": first.throttle or other.throttle,
            }
        )
