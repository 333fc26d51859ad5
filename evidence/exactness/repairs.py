"""The repairs of the matrix: what happens to the writes of the other table, and to workers meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from evidence.exactness import crashes
from evidence.exactness.cell import Disturb
from evidence.exactness.comparisons import OTHER, RECORDS, planted
from evidence.exactness.kinds import KINDS, Make, Moment
from evidence.exactness.scenes import Faults, record_name

#: What a difference becomes.
OUTCOMES = {"missing": "created", "different": "replaced", "extraneous": "removed"}
_UNHARMED = ("throttled by rate",)  # a hundred writes stay below any rate that it allows
DIFFERING = [number for number in range(RECORDS) if planted(number) != "equal"]


@dataclass(frozen=True)
class Repair:
    """A repair of a hundred differences. `given_up`: of the last ones, which end in quarantine."""

    fault: str
    moment: Moment = Moment.MIDDLE
    faults: Make = lambda _table, _keys: ()
    disturb: Disturb | None = None
    parks: bool = False
    given_up: int = 0
    crash: bool = False  # attempts are lost in it
    cancelled: bool = False  # what it has written by then has to be counted, and no more
    job: dict[str, Any] = field(default_factory=dict)
    operation = "repair"
    side = OTHER  # whose calls the faults strike

    @property
    def name(self) -> str:
        """In words, as `--only` looks for it."""
        return f"{self.operation}, {self.side}, {self.fault}, {self.moment}"

    @property
    def refused(self) -> list[int]:
        """The rows that are given up."""
        return DIFFERING[len(DIFFERING) - self.given_up :]

    def plan(self, other: str) -> Faults:
        """Of the other table."""
        return self.faults(other, [{"id": {"S": record_name(number)}} for number in self.refused])

    def outcomes(self) -> dict[str, int]:
        """What the job has to count."""
        counts: dict[str, int] = {}
        for number in DIFFERING:
            name = "quarantined" if number in self.refused else OUTCOMES[planted(number)]
            counts[name] = counts.get(name, 0) + 1
        return counts


def repairs(quick: bool) -> Iterator[Repair]:
    """In the order of the table, after the comparisons."""
    for kind in KINDS:
        suits = not kind.batched and not kind.many and kind.name not in _UNHARMED
        if suits and (not quick or kind.name == "500 after the write"):
            # From the start where it leaves writes behind errors: there are few calls, and some of them read.
            late = Moment.MIDDLE in kind.moments and not kind.ambiguous
            moment = Moment.MIDDLE if late else kind.moments[0]
            yield Repair(kind.name, moment, kind.faults, parks=kind.parks, given_up=kind.given_up)
    for crash in _CRASHES:
        if not quick or crash.disturb is crashes.kill_all:
            yield crash


_CRASHES = (
    Repair("kill -9 of one worker process", disturb=crashes.kill_one, crash=True),
    Repair("kill -9 of all workers", disturb=crashes.kill_all, crash=True),
    Repair("a worker frozen, then thawed (zombie)", disturb=crashes.freeze, crash=True),
    Repair("cancelled, and kill -9 of all workers", disturb=crashes.cancel, crash=True, cancelled=True),
    Repair("Temporal restarted", disturb=crashes.restart_temporal),
)
