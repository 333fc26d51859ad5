"""One row of the matrix: what was counted, what is true, and what must hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Cells of the printed table, in order.
COLUMNS = (
    *(
        "operation",
        "on",
        "fault",
        "moment",
        "records",
        "faults injected",
        "ambiguous settled",
        "outcomes",
        "balanced",
    ),
    *("verification", "changed twice", "lost", "shard restarts", "seconds", "holds"),
)

_EDGE, _LATER = " (the edge)", " (put there later)"


@dataclass
class Row:
    """`wrong`: what did not hold, in words; empty is good. `edge`: changed twice is expected here.

    `deleted`: the rows that are gone, where the job's count of them is a lower bound.
    """

    operation: str
    scene: str
    fault: str
    moment: str
    records: int
    injected: Mapping[str, int]
    ambiguous: int
    outcomes: Mapping[str, int]
    balanced: bool
    verification: str
    changed_twice: int
    lost: int
    restarts: int
    seconds: float
    edge: bool = False
    deleted: int | None = None
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, cells: Sequence[str]) -> Row:
        """The row that `cells` was made of, but for what is rounded there."""
        known = dict(zip(COLUMNS, cells, strict=True))
        counted, _, bound = known["outcomes"].partition(" (deleted: a lower bound of ")
        holds = known["holds"].removeprefix("NO: ")
        return cls(
            operation=known["operation"],
            scene=known["on"],
            fault=known["fault"],
            moment=known["moment"],
            records=_number(known["records"]),
            injected={} if known["faults injected"] == "none" else _numbers(known["faults injected"]),
            ambiguous=_number(known["ambiguous settled"]),
            outcomes=_numbers(counted),
            balanced=known["balanced"] == "yes",
            verification=known["verification"],
            changed_twice=_number(known["changed twice"].removesuffix(_EDGE)),
            lost=_number(known["lost"].removesuffix(_LATER)),
            restarts=_number(known["shard restarts"]),
            seconds=float(known["seconds"]),
            edge=known["changed twice"].endswith(_EDGE),
            deleted=_number(bound.removesuffix(")")) if bound else None,
            wrong=[] if holds == "yes" else holds.split("; "),
        )

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """What it is a row of."""
        return self.operation, self.scene, self.fault, self.moment

    @property
    def uncounted(self) -> int:
        """Deletions that a crash has left uncounted."""
        return 0 if self.deleted is None else self.deleted - self.outcomes.get("deleted", 0)

    def cells(self) -> list[str]:
        """As text, in the order of `COLUMNS`."""
        return [
            self.operation,
            self.scene,
            self.fault,
            self.moment,
            f"{self.records:,}",
            ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.injected.items())) or "none",
            f"{self.ambiguous:,}",
            ", ".join(f"{name} {count:,}" for name, count in self.outcomes.items())
            + ("" if self.deleted is None else f" (deleted: a lower bound of {self.deleted:,})"),
            "yes" if self.balanced else "NO",
            self.verification,
            f"{self.changed_twice:,}" + (_EDGE if self.edge else ""),
            f"{self.lost:,}" + (_LATER if self.edge and self.lost else ""),
            f"{self.restarts:,}",
            f"{self.seconds:.1f}",
            "yes" if not self.wrong else "NO: " + "; ".join(self.wrong),
        ]


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _numbers(text: str) -> dict[str, int]:
    """`cut 3, attempts lost 1,000` by name."""
    pairs = (part.rsplit(" ", 1) for part in text.split(", ") if part)
    return {name: _number(number) for name, number in pairs}


def read_markdown(text: str) -> list[Row]:
    """The rows of the first table that `markdown` made in a document."""
    lines = text[text.index("| " + " | ".join(COLUMNS) + " |") :].splitlines()[2:]
    tabled = itertools.takewhile(lambda line: line.startswith("| "), lines)
    return [Row.read(line.removeprefix("| ").removesuffix(" |").split(" | ")) for line in tabled]


def markdown(rows: Sequence[Row]) -> str:
    """The table of all rows, for a document."""
    return table(COLUMNS, [row.cells() for row in rows])


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table, for a document."""
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)])
