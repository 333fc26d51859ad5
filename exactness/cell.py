"""One cell of the matrix: what is done to a job, and what is known when it has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.faults import Truth, key_text
from exactness.kinds import Faults, Moment, record_name
from exactness.stand import Stand
from exactness.verbs import Item, Verb

#: Returns what it wrote, by number of the row, where somebody asks for it.
Disturb = Callable[[Stand, "Cell", str], Awaitable[Mapping[int, Item]]]


@dataclass(frozen=True)
class Evidence:
    """The job's own report, the proxy's truth, and the table itself, by a look past the proxy.

    `others`: what other writers wrote last, by number of the row.
    """

    report: Mapping[str, Any]
    truth: Truth
    rows: Mapping[str, Item]
    others: Mapping[int, Item]
    restarts: int
    seconds: float

    def row(self, number: int) -> Item | None:
        """The row as it is; None: gone."""
        return self.rows.get(record_name(number))

    def marks(self, verb: Verb, number: int) -> int:
        """How often this run's mark was put on the row, by the proxy's account."""
        key = self.truth.key(self.report["table"], {"id": {"S": record_name(number)}})
        return key.runs.get(self.mark(verb), 0)

    def mark(self, verb: Verb) -> str:
        """The value that this run's writes set."""
        return verb.mark.format(run=self.report["run"])

    def changed_twice(self, verb: Verb) -> int:
        """Keys that were changed more than once, but for those that others took the stamp off."""
        put = {key_text({"id": {"S": record_name(number)}}) for number in self.others}
        return sum(key not in put for _, key in self.truth.changed_twice(self.mark(verb)))


@dataclass(frozen=True)
class Cell:
    """What is done to a job over a table of its own. `disturb` runs at the moment, after `faults` are set."""

    fault: str
    moment: Moment
    records: int
    verb: Verb
    faults: Callable[[str], Faults] = lambda _table: ()
    disturb: Disturb | None = None
    job: dict[str, Any] = field(default_factory=dict)
    parks: bool = False
    given_up: int = 0
    edge: bool = False  # changed twice is expected, and so is a table that others left behind
    crash: bool = False  # a worker dies: deletions that it could not tell of any more are not counted
    #: Where others write beside the job: whether a row is what both together have to leave. Outcomes depend on
    #: who came first then, and only have to add up.
    beside: Callable[[int, Evidence], bool] | None = None
    held_back: bool = False  # also after its moment, so that a crash meets work under way
    strikes: bool = True  # something must have been injected
    shards: int = 4
