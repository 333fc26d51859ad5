"""What a dry run showed: outcomes, failures, and records before and after as coloured differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import BAD, DIM, GOOD, WARN, columns
from reindexer.items import key_text
from reindexer.models import DocumentField, DryRun, Pair, TriedDocument
from reindexer.tally import Outcome
from reindexer.words import count, some

_WORDS = {
    Outcome.UPDATED: "would be changed",
    Outcome.DELETED: "would be deleted",
    Outcome.FILTERED: "left alone",
}
_OF_AN_INDEX = {
    Outcome.UPDATED: "would be in the index",
    Outcome.FILTERED: "would have no document",
    Outcome.QUARANTINED: "would be given up",
}


def render_dry_run(
    shown: DryRun, warnings: Sequence[str] = (), *, writes_index: bool = False
) -> RenderableType:
    """The whole dry run. `writes_index`: of documents, which were written to a temporary index."""
    words = _OF_AN_INDEX if writes_index else _WORDS
    rows = [
        (outcome.value, count(number), Text(words.get(outcome, ""), DIM))
        for outcome in Outcome
        if (number := shown.tally[outcome])
    ]
    written = "written to a temporary index, which is removed" if writes_index else "nothing written"
    return Group(
        Text.assemble(("dry run", "bold"), f"  {some(shown.tally.scanned, 'record')} looked at, {written}"),
        Text(),
        columns(rows, right=(1,)),
        *(Text(f"! {warning}", WARN) for warning in warnings),
        *(
            Text(f"{code}: {count(n)}, such as: {shown.messages[code]}", BAD)
            for code, n in shown.failures.items()
        ),
        *(line for pair in shown.pairs for line in _difference(pair)),
        *(line for document in shown.documents for line in _document(document)),
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


def _document(document: TriedDocument) -> Iterator[RenderableType]:
    """Each field as it is sent, and what the index takes it for."""
    yield Text()
    yield Text.assemble((key_text(document.key), "bold"), f"  document {document.id}")
    if document.error:
        yield Text(f"refused by {document.error}: {document.message}", BAD)
    yield columns(
        (f"  {field.name}", Text(_type(field, refused=bool(document.error)), DIM), field.value)
        for field in document.fields
    )


def _type(field: DocumentField, *, refused: bool) -> str:
    if field.mapped is None:
        return "" if refused or not field.value else "not mapped"
    return field.mapped
