"""What the demo observes from outside: the fault proxy at the engine, the consumer downstream."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import BAD, GOOD, facts
from commands.running.downstream import Seen
from reindexer.models import Report
from reindexer.tally import Outcome
from reindexer.words import count, some
from testbed.cities import TABLE
from testbed.faults import FaultKind, Truth
from testbed.faults.plan import APPLIED


def confirmed(report: Report, truth: Truth | None, seen: Seen | None) -> tuple[bool, RenderableType]:
    """Whether proxy and consumer agree with the report, and what they saw; None: not there."""
    updated = report.tally[Outcome.UPDATED]
    sentence, good = f"{some(updated, 'record')} changed", True
    lines: list[tuple[str, RenderableType]] = []
    if truth is not None:
        changed, twice = truth.changed(TABLE, report.run), len(truth.changed_twice(report.run))
        good = changed == updated and not twice
        written = f"{some(changed, 'record')} changed, {count(twice) if twice else 'none'} twice"
        if faults := faults_of(truth):
            lines.append(("faults", faults))
        lines.append(("engine", Text(f"by the proxy's count {written}", GOOD if good else BAD)))
    if seen is not None:
        sentence += f", {some(seen.events, 'event')} seen downstream"
        if seen.events != seen.records:
            sentence += f" of {some(seen.records, 'record')}"
        good = good and seen.events == seen.records == updated
    return good, Group(facts(lines), Text(), Text(sentence, f"bold {GOOD if good else BAD}"))


def faults_of(truth: Truth) -> str:
    """How many calls failed by injected faults; "" for none. PartiQL calls that a plan denies are left out."""
    struck = {kind: number for kind, number in truth.injected.items() if kind != FaultKind.PARTIQL_DENIED}
    carried_out = sum(number for kind, number in struck.items() if kind in APPLIED)
    if not struck:
        return ""
    return (
        f"{count(sum(struck.values()))} of {some(sum(truth.calls.values()), 'call')} failed, "
        f"{count(carried_out)} of them after they had been applied"
    )
