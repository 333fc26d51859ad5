"""What has become of a search index, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from commands.rendering.screen import BAD, GOOD, WARN
from reindexer.items import key_text
from reindexer.models import IndexSample, Report, Verification
from reindexer.words import count, some

_NAMED = 3  # keys that are named: the report has more


def index_rows(report: Report) -> Iterator[tuple[str, Text]]:
    """The index, what it holds, and whether readers have it."""
    found = report.index
    if found is None:
        yield (
            "index",
            Text("not checked: the job did not come to its end" if report.writer != "none" else "none"),
        )
        return
    held = some(found.documents, "document")
    if found.tombstones:
        held += f", {some(found.tombstones, 'tombstone')}"
    if not found.counted:
        yield "index", Text(f"{found.index}: not counted", WARN)
    elif found.exactly is not None:
        style = GOOD if found.complete else BAD
        yield "index", Text(f"{found.index}: {held}; {count(found.exactly)} records have one", style)
    elif found.expected is None:
        yield "index", Text(f"{found.index}: {held}")
    elif found.documents == found.expected:
        yield "index", Text(f"{found.index}: {held}, as many as were written", GOOD)
    elif found.complete:
        more = count(found.documents - found.expected)
        yield "index", Text(f"{found.index}: {held}, {more} more than were counted", WARN)
    else:
        yield "index", Text(f"{found.index}: {held} of {count(found.expected)} that were written", BAD)
    if report.verification is not None:
        yield "compared", _compared(report.verification)
    if found.sample is not None:
        yield "sample", _sample(found.sample)
    if found.moved:
        before = [name for name in found.previous if name != found.index]
        text = f"{found.alias} points at it" + (f", and no more at {', '.join(before)}" if before else "")
        yield "readers", Text(text, GOOD)
    else:
        yield "readers", Text(f"{found.alias} was not moved: {found.why}", WARN)


def _compared(checked: Verification) -> Text:
    """What the comparison of every record with its document showed."""
    read = f"{some(checked.scanned, 'record')} read consistently"
    if not checked.behind:
        return Text(f"{read}, each equal to its document", GOOD)
    return Text(f"{read}, {count(checked.behind)} not equal to their documents", BAD)


def _sample(sample: IndexSample) -> Text:
    """What a random sample of the records showed."""
    read = f"{some(sample.sampled, 'record')} read consistently"
    if not sample.sampled:
        return Text("no record was met")
    if sample.equal == sample.sampled:
        return Text(f"{read}, each equal to its document", GOOD)
    kinds = (("different", sample.different), ("without a document", sample.missing))
    text = ", ".join(f"{count(number)} {words}" for words, number in kinds if number)
    named = ", ".join(key_text(key) for key in sample.keys[:_NAMED])
    return Text(f"{read}: {text}, or changed since they were indexed; such as {named}", WARN)
