"""The refreshes of the matrix: what happens to one that writes records again beside a follow of their replica.

Somebody has written to the replica before; others write to the table all the while.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evidence.exactness import crashes
from evidence.exactness.kinds import KINDS, Moment
from evidence.exactness.replicas import FOLLOWED, Replica, pauses


@dataclass(frozen=True)
class Refresh(Replica):
    """One refresh of all keys of a replica that is followed. `moment`: of the refresh."""

    side: str = FOLLOWED
    operation = "refresh"


def refreshes(quick: bool) -> Iterator[Refresh]:
    """In the order of the table, after the replicas."""
    for kind in KINDS:
        if kind.name in _MET and not quick:
            yield Refresh(kind.name, _MET[kind.name], faults=kind.faults)
    for name, disturb, crash in _DISTURBED:
        if not quick or disturb is crashes.kill_all:
            yield Refresh(name, disturb=disturb, crash=crash)


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
#: (in words, what is done, whether attempts are lost in it)
_DISTURBED: tuple[tuple[str, Any, bool], ...] = (
    ("kill -9 of all workers", crashes.kill_all, True),
    ("a worker frozen, then thawed (zombie)", crashes.freeze, True),
    ("paused and resumed", pauses, False),
    ("Temporal restarted", crashes.restart_temporal, False),
)
