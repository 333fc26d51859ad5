"""What a comparison came to, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from commands.rendering.screen import BAD, DIM, GOOD, WARN
from reindexer.models import Compared, Comparison, Difference, Estimate
from reindexer.words import count, some

_MOVING = "did not hold still while they were looked at: no verdict"
_WORDS = {
    Difference.DIFFERENT: "in both tables, and not the same",
    Difference.MISSING: "not in the other table",
    Difference.EXTRANEOUS: "in the other table alone",
    Difference.MOVING: _MOVING,
}
_OF_DOCUMENTS = {
    Difference.DIFFERENT: "records whose document says something else",
    Difference.MISSING: "records without a document",
    Difference.EXTRANEOUS: "documents without a record",
    Difference.MOVING: _MOVING,
}

_ABSENT = "in neither table, past their time to live, or deleted meanwhile"
_ABSENT_DOCUMENTS = "to have no document and without one, or deleted meanwhile"
_ABSENT_THERE = "of these past their time to live, tombstones, or deleted meanwhile"
_ABSENT_THERE_DOCUMENTS = "of these tombstones, or deleted meanwhile"


def verdict(counts: Comparison) -> Text:
    """In a word or two, to follow a headline."""
    differing = sum(number for kind, number in counts.differences.items() if kind is not Difference.MOVING)
    if differing:
        return Text(f", {some(differing, 'difference')}", f"bold {BAD}")
    if moving := counts.differences[Difference.MOVING]:
        return Text(f", no verdict: {some(moving, 'key')} did not hold still", f"bold {WARN}")
    return Text(", equal", f"bold {GOOD}")


def estimate_row(estimate: Estimate) -> tuple[str, str, Text]:
    """What a sample says of the whole."""
    interval = f"{_percent(estimate.low)} to {_percent(estimate.high)} differ, by a 95 % interval"
    words = f"{count(estimate.keys)} keys in {count(estimate.segments)} of {count(estimate.total)} segments"
    return "estimated", _percent(estimate.share), Text(f"{interval}: {words}", DIM)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def comparison_rows(counts: Comparison, *, documents: bool = False) -> Iterator[tuple[str | Text, ...]]:
    """The outcomes, with a word on each, and what was read on either side. `documents`: of an index."""
    words = _OF_DOCUMENTS if documents else _WORDS
    equal = "records whose document is what they make" if documents else "the same by value in both tables"
    yield "equal", count(counts.equal), Text(equal, DIM)
    for kind, number in counts.differences.items():
        style = "" if not number else WARN if kind is Difference.MOVING else BAD
        yield Text(kind.value, style), Text(count(number), style), Text(words[kind], DIM)
    if counts.absent:
        yield "absent", count(counts.absent), Text(_ABSENT_DOCUMENTS if documents else _ABSENT, DIM)
    balance = Text("balanced", DIM) if counts.balanced else Text("NOT balanced: outcomes do not add up", BAD)
    yield "scanned", count(counts.scanned), balance
    yield (
        "scanned there",
        count(counts.other_scanned),
        Text(f"in the {'index' if documents else 'other table'}", DIM),
    )
    if counts.other_absent:
        there = _ABSENT_THERE_DOCUMENTS if documents else _ABSENT_THERE
        yield "absent there", count(counts.other_absent), Text(there, DIM)


def compared_text(counts: Comparison) -> str:
    """The counts so far, on one line."""
    found = [f"{count(number)} {kind.value}" for kind, number in counts.differences.items() if number]
    return ", ".join([f"{count(counts.equal)} equal", *found])


def check_text(found: Compared | None, what: str = "replica") -> Text:
    """What the comparison of a replica, or an index, with its table has found."""
    if found is None:
        return Text("no")
    keys = count(found.counts.scanned)
    read = f"a sample of {keys} records" if found.estimate else f"{keys} records and all of the {what}"
    differ = sum(found.counts.differences.values())
    return Text(f"{read}: {count(differ) + ' differ' if differ else 'equal'}", BAD if differ else GOOD)
