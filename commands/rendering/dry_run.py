"""What a dry run showed: outcomes, failures, and records before and after as coloured differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import BAD, DIM, GOOD, WARN, columns
from reindexer.items import key_text
from reindexer.models import DryRun, Pair
from reindexer.tally import Outcome
from reindexer.words import count, some

_WORDS = {
    Outcome.UPDATED: "would be changed",
    Outcome.DELETED: "would be deleted",
    Outcome.FILTERED: "left alone",
}


def render_dry_run(shown: DryRun, warnings: Sequence[str] = ()) -> RenderableType:
    """The whole dry run."""
    rows = [
        (outcome.value, count(number), Text(_WORDS.get(outcome, ""), DIM))
        for outcome in Outcome
        if (number := shown.tally[outcome])
    ]
    return Group(
        Text.assemble(
            ("dry run", "bold"), f"  {some(shown.tally.scanned, 'record')} looked at, nothing written"
        ),
        Text(),
        columns(rows, right=(1,)),
        *(Text(f"! {warning}", WARN) for warning in warnings),
        *(
            Text(f"{code}: {count(n)}, such as: {shown.messages[code]}", BAD)
            for code, n in shown.failures.items()
        ),
        *(line for pair in shown.pairs for line in _difference(pair)),
    )


def _difference(pair: Pair) -> Iterator[RenderableType]:
    """As a patch has it: what goes with a minus, what comes with a plus."""
    yield Text()
    yield Text.assemble((key_text(pair.key), "bold"), "  deleted" if pair.delete else "")
    for change in pair.changes:
        if change.before is not None:
            yield Text(f"- {change.name}: {change.before}", BAD)
        if change.after is not None:
            yield Text(f"+ {change.name}: {change.after}", GOOD)
