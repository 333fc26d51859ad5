"""One row of the matrix: what was counted, what is true, and what must hold."""

from __future__ import annotations

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
            f"{self.changed_twice:,}" + (" (the edge)" if self.edge else ""),
            f"{self.lost:,}" + (" (put there later)" if self.edge and self.lost else ""),
            f"{self.restarts:,}",
            f"{self.seconds:.1f}",
            "yes" if not self.wrong else "NO: " + "; ".join(self.wrong),
        ]


def markdown(rows: Sequence[Row]) -> str:
    """The table of all rows, for a document."""
    return table(COLUMNS, [row.cells() for row in rows])


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table, for a document."""
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)])
