"""What has become of a search index, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from commands.rendering.screen import BAD, GOOD, WARN
from reindexer.models import Report
from reindexer.words import count, some


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
    if found.expected is None:
        yield "index", Text(f"{found.index}: {held}")
    elif found.documents == found.expected:
        yield "index", Text(f"{found.index}: {held}, as many as were written", GOOD)
    elif found.complete:
        more = count(found.documents - found.expected)
        yield "index", Text(f"{found.index}: {held}, {more} more than were counted", WARN)
    else:
        yield "index", Text(f"{found.index}: {held} of {count(found.expected)} that were written", BAD)
    if found.moved:
        before = [name for name in found.previous if name != found.index]
        text = f"{found.alias} points at it" + (f", and no more at {', '.join(before)}" if before else "")
        yield "readers", Text(text, GOOD)
    else:
        yield "readers", Text(f"{found.alias} was not moved: {found.why}", WARN)
