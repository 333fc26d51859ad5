"""The refreshes of the matrix: what happens to one that writes records again beside a follow.

Somebody has written to the replica, or to the index, before; others write to the table all the while.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.exactness import crashes, indexes
from evidence.exactness.follows import INDEX
from evidence.exactness.kinds import KINDS, Moment
from evidence.exactness.replicas import FOLLOWED, Replica, pauses
from testbed.faults.search import SearchFault


@dataclass(frozen=True)
class Refresh(Replica):
    """One refresh of all keys, into a replica or an index that is followed. `moment`: of the refresh."""

    side: str = FOLLOWED
    writes: Sequence[SearchFault] = ()  # of an index
    operation = "refresh"


def refreshes(quick: bool) -> Iterator[Refresh]:
    """In the order of the table, after the replicas."""
    for kind in KINDS:
        if kind.name in _MET and not quick:
            yield Refresh(kind.name, _MET[kind.name], faults=kind.faults)
    for name, disturb, crash in _DISTURBED:
        if not quick or disturb is crashes.kill_all:
            yield Refresh(name, disturb=disturb, crash=crash)


def document_refreshes(quick: bool) -> Iterator[Refresh]:
    """In the order of the table, after the comparisons with an index."""
    if quick:
        return
    for kind in indexes.WRITES:
        if kind.name in _MET_BY_DOCUMENTS:
            yield Refresh(kind.name, _MET_BY_DOCUMENTS[kind.name], INDEX, writes=kind.faults)
    for name, disturb, crash in _DISTURBED:
        if crash:
            yield Refresh(name, side=INDEX, disturb=disturb, crash=crash)


_MET: dict[str, Moment] = {
    "500 before the write": Moment.MIDDLE,
    "500 after the write": Moment.START,
    "connection cut after the write": Moment.MIDDLE,
    "time-out after the write": Moment.MIDDLE,
    "500, applied 0.5 s later": Moment.START,
    "time-out, applied 6 s later": Moment.MIDDLE,
    "answer truncated": Moment.MIDDLE,
    "throttled calls": Moment.MIDDLE,
    "stored items withheld, 30 % failing": Moment.MIDDLE,
}
_MET_BY_DOCUMENTS: dict[str, Moment] = {
    "500 before the write": Moment.MIDDLE,
    "500 after the write": Moment.START,
    "time-out, applied 10 s later": Moment.MIDDLE,
    "throttled calls": Moment.MIDDLE,
    "documents failing, applied": Moment.START,
}
#: (in words, what is done, whether attempts are lost in it)
_DISTURBED: tuple[tuple[str, Any, bool], ...] = (
    ("kill -9 of all workers", crashes.kill_all, True),
    ("a worker frozen, then thawed (zombie)", crashes.freeze, True),
    ("paused and resumed", pauses, False),
    ("Temporal restarted", crashes.restart_temporal, False),
)
