"""One cell of the matrix: what is done to a job, and what is known when it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowHandle

from evidence.exactness.kinds import Make, Moment
from evidence.exactness.scenes import COMPLETE, Faults, Item, Scene, only, wire
from evidence.exactness.stand import Stand
from evidence.exactness.verbs import Verb
from testbed.faults import Truth, key_text

Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Happened:
    """What a disturbance did and saw. `others`: what other writers wrote last, by number of the row."""

    others: Mapping[int, Item] = field(default_factory=dict)
    injected: Mapping[str, int] = field(default_factory=dict)
    #: What must have held meanwhile, in words that say what did not.
    musts: Mapping[str, bool] = field(default_factory=dict)


Disturb = Callable[[Stand, "Cell", str, Handle], Awaitable[Happened]]


@dataclass(frozen=True)
class Cell:
    """What is done to a job over a table of its own. `disturb` runs at the moment, after `faults` are set."""

    fault: str
    moment: Moment
    records: int
    verb: Verb
    faults: Make = lambda _table, _keys: ()
    scene: Scene = COMPLETE
    disturb: Disturb | None = None
    #: Servers and workers as this cell needs them, for its time.
    around: Callable[[Stand], AbstractContextManager[Stand]] = nullcontext
    job: dict[str, Any] = field(default_factory=dict)
    parks: bool = False
    given_up: int = 0
    edge: bool = False  # changed twice is expected, and so is a table that others left behind
    crash: bool = False  # attempts are lost: deletions that they could not tell of any more are not counted
    silence: float = 0.0  # seconds that attempts may work on without being heard, before they are lost
    cancelled: bool = False  # it ends before its end: what it did has to add up, and nothing else
    #: Where others write beside the job: whether a row is what both together have to leave. Outcomes depend on
    #: who came first then, and only have to add up.
    beside: Callable[[Cell, int, Evidence], bool] | None = None
    held_back: bool = False  # also after its moment, so that a crash meets work under way
    shards: int = 4

    @property
    def name(self) -> str:
        """In words, as `--only` looks for it."""
        return f"{self.verb.name}, {self.scene.name}, {self.fault}, {self.moment}"

    def rest(self, number: int) -> Item:
        """What a row has besides what the operation is about: its key, and what an index is over."""
        return {**self.scene.key(number), **self.scene.more(number)}

    def row(self, number: int) -> Item:
        """A row as it is made."""
        return {**self.rest(number), **self.verb.before(number)}

    @property
    def numbers(self) -> list[int]:
        """The rows that the job is for."""
        return self.scene.numbers(self.records)

    @property
    def writes(self) -> int:
        """Writes that the job makes of its records."""
        records = self.scene.sampled(self.records) if self.scene.sample else len(self.numbers)
        return records * self.verb.writes

    @property
    def refused(self) -> list[int]:
        """Those of them that are given up: the last."""
        return self.numbers[len(self.numbers) - self.given_up :]

    def plan(self, table: str) -> Faults:
        """The cell's own faults."""
        return self.faults(table, self.keys(self.refused))

    def standing(self, table: str) -> Faults:
        """The scene's."""
        return only(table, self.scene.standing(table))

    def keys(self, numbers: list[int]) -> list[Item]:
        """Keys on the wire."""
        return [wire(self.scene.key(number)) for number in numbers]

    def outcomes(self) -> dict[str, int]:
        """What the job has to count, where no more than the cell's own happens to it."""
        counts = Counter(self.verb.outcome(number) for number in self.numbers)
        for number in self.refused:
            counts[self.verb.outcome(number)] -= 1
            counts["quarantined"] += 1
        counts["vanished"] = self.scene.vanished
        return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True)
class Evidence:
    """The job's own report, the proxy's truth, and the table itself, by a look past the proxy.

    `rows` by key as text; `lost`: attempts of activities that ended without a result; `visits`: records that
    were worked for, once for each time.
    """

    report: Mapping[str, Any]
    truth: Truth
    rows: Mapping[str, Item]
    happened: Happened
    restarts: int
    lost: int
    stamp: str
    visits: Counter[str]
    seconds: float

    @property
    def others(self) -> Mapping[int, Item]:
        """What other writers wrote last."""
        return self.happened.others

    def row(self, cell: Cell, number: int) -> Item | None:
        """The row as it is; None: gone."""
        return self.rows.get(key_text(wire(cell.scene.key(number))))

    def marks(self, verb: Verb, key: Item) -> int:
        """How often this run's mark was put on the row, by the proxy's account."""
        return self.truth.key(self.report["table"], key).runs.get(self.mark(verb), 0)

    def mark(self, verb: Verb) -> str:
        """The value that this run's writes set."""
        return verb.mark.format(run=self.stamp)

    def changed_twice(self, cell: Cell) -> int:
        """Keys that were changed more than once, but for those that others took the stamp off."""
        if not cell.verb.mark:
            keys = self.truth.tables.get(self.report["table"], {}).values()
            return sum(key.applied > 1 for key in keys)
        put = {key_text(key) for key in cell.keys(list(self.others))}
        return sum(key not in put for _, key in self.truth.changed_twice(self.mark(cell.verb)))

    def right(self, cell: Cell, number: int) -> bool:
        """Whether a row is as the operation leaves it."""
        rest, version = cell.rest(number), int(self.report["version"])
        return cell.verb.is_right(number, self.row(cell, number), rest, version)

    def untouched(self, cell: Cell, number: int) -> bool:
        """Whether a row is as it was made."""
        return self.row(cell, number) == cell.row(number)

    def marked(self, cell: Cell, number: int) -> bool:
        """Whether a row waits for its deletion: marked, and otherwise as it was made."""
        found = dict(self.row(cell, number) or {})
        version = {"N": str(self.report["version"])}
        is_marked = found.pop("reindexRun", None) == {"S": self.mark(cell.verb)}
        return (
            cell.verb.deletes
            and is_marked
            and found.pop("reindexVersion", None) == version
            and (found == cell.row(number))
        )

    def done(self, cell: Cell) -> Iterator[int]:
        """The rows that the job has changed, or taken away."""
        return (number for number in cell.numbers if not self.untouched(cell, number))
