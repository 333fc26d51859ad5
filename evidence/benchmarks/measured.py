"""What is measured of one run, and what is said of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

#: CPU seconds of servers, by the detail of a run that holds them.
_SERVERS = {"engine_cpu": "engine", "temporal_cpu": "Temporal's server", "search_cpu": "OpenSearch"}


@dataclass(frozen=True)
class Run:
    """One run of one way. `cpu`: seconds of all the client's processes; `peak_mb`: of the largest of them."""

    records: int
    seconds: float
    cpu: float
    peak_mb: float
    details: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


@dataclass
class Row:
    """One way to do it, and all its runs."""

    name: str
    runs: list[Run] = field(default_factory=list)
    note: str = ""

    @property
    def rate(self) -> float:
        """The median run's records a second."""
        return median(run.rate for run in self.runs)

    @property
    def cpu_per_million(self) -> float:
        """Seconds of client CPU for a million records, in the median run."""
        return median(run.cpu / run.records for run in self.runs) * 1e6

    @property
    def peak_mb(self) -> float:
        """Of the median run's largest process."""
        return median(run.peak_mb for run in self.runs)

    def detail(self, name: str) -> float:
        """The median of a detail."""
        return median(run.details[name] for run in self.runs)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "note": self.note,
            "records_per_second": round(self.rate, 1),
            "cpu_seconds_per_million": round(self.cpu_per_million, 2),
            "peak_mb": round(self.peak_mb, 1),
            "runs": [
                {
                    "records": run.records,
                    "seconds": round(run.seconds, 3),
                    "cpu": round(run.cpu, 2),
                    "peak_mb": round(run.peak_mb, 1),
                    **{name: round(value, 4) for name, value in run.details.items()},
                }
                for run in self.runs
            ],
        }


def ratio(over: Row, under: Row) -> float:
    """How many times faster `over` is: the median of the pairs that ran one after the other.

    Both of a pair met the same noise of the machine, which the medians of each alone may not have.
    """
    return median(a.rate / b.rate for a, b in zip(over.runs, under.runs, strict=False))


def cpu_facts(*rows: Row) -> list[str]:
    """Client and servers: what the clock cannot tell while others use the machine."""
    lines, sums = [], []
    for row in rows:
        parts = {"client": row.cpu_per_million}
        for detail, name in _SERVERS.items():
            if all(detail in run.details for run in row.runs):
                parts[name] = median(run.details[detail] / run.records for run in row.runs) * 1e6
        sums.append(sum(parts.values()))
        listed = ", ".join(f"{name} {seconds:.0f}" for name, seconds in parts.items())
        lines.append(f"CPU seconds per million records, {row.name}: {listed}; {sums[-1]:.0f} in all")
    return [*lines, f"by the CPU of all processes the first is {sums[1] / sums[0]:.2f} × the second"]


#: A row, and what makes one run of it.
Way = tuple[Row, Callable[[], Run]]


@dataclass(frozen=True)
class Floor:
    """A bound that must hold."""

    what: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        sign = ">=" if self.at_least else "<="
        return {
            "what": self.what,
            "value": round(self.value, 4),
            "bound": f"{sign} {self.bound:g}",
            "holds": self.holds,
        }


@dataclass
class Section:
    """What one section found. `facts`: lines for people; `data`: the same and more for JSON."""

    name: str
    rows: list[Row] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def interleaved(rows: Sequence[Way], repeat: int, announce: Callable[[str], None]) -> None:
    """A B A B: each way once, then each again, so that a busy minute of the machine meets all of them."""
    for number in range(repeat):
        for row, run in rows:
            row.runs.append(run())
            announce(f"{row.name}: {row.runs[-1].rate:,.0f} records/s (run {number + 1} of {repeat})")


def compared(
    name: str, one: Way, other: Way, floor: tuple[str, float], repeat: int, announce: Callable[[str], None]
) -> Section:
    """A section of two ways in turn. `floor`: what is held, and the least rate of `one` over `other`'s."""
    interleaved([one, other], repeat, announce)
    what, least = floor
    kept = ratio(one[0], other[0])
    return Section(
        name,
        rows=[one[0], other[0]],
        floors=[Floor(what, kept, least)],
        facts=cpu_facts(one[0], other[0]),
        data={"ratios": {what: round(kept, 3)}},
    )
