"""Whether what a job wrote has arrived, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from commands.rendering.screen import BAD, GOOD, WARN, facts, moment
from reindexer.items import key_text
from reindexer.models import Arrival, FollowArrival, IndexArrival, Missing
from reindexer.words import count, duration, some


def render_arrival(found: Arrival) -> Table:
    """The job, then a line for each follow, or for the index and what is missing there."""
    return facts(_rows(found))


def arrival_rows(found: Arrival) -> Iterator[tuple[str, Text]]:
    """The same as a part of a job's own report."""
    if found.why:
        yield "arrived", Text(f"not confirmed: {found.why}", BAD)
    for number, follow in enumerate(found.follows):
        yield "" if number else "arrived", Text(f"{follow.index}: ").append_text(_of_follow(follow))


def _rows(found: Arrival) -> Iterator[tuple[str, Text]]:
    head = "confirmed" if found.confirmed else "not confirmed"
    what = f"{found.job}, run {found.run}: {found.table} at version {found.version}"
    yield head, Text(f"{what}, until {moment(found.until)}", GOOD if found.confirmed else BAD)
    for follow in found.follows:
        yield follow.index, _of_follow(follow)
    if found.index is not None:
        yield found.index.index, _of_index(found.index)
        if found.index.missing is not None:
            yield from _missing(found.index.missing)


def _of_follow(follow: FollowArrival) -> Text:
    waited = f"after {duration(follow.waited_seconds)}"
    if follow.confirmed:
        return Text(f"all of it is settled there by {follow.follow}, {waited}", GOOD)
    reached = f"; settled until {moment(follow.settled_through)}" if follow.settled_through else ""
    return Text(f"{follow.follow}: {follow.why}, {waited}{reached}", BAD)


def _of_index(index: IndexArrival) -> Text:
    held = f"{count(index.documents)} of {some(index.expected, 'document')} with {index.field} at the version"
    return Text(f"{held}, after {duration(index.waited_seconds)}", GOOD if index.confirmed else BAD)


def _missing(missing: Missing) -> Iterator[tuple[str, Text]]:
    part = "all" if missing.whole else "a part"
    read = f"by a read of {part} of the table, {some(missing.scanned, 'record')}"
    if missing.unknown:
        yield "missing", Text(f"the keys are not known: {missing.unknown}", WARN)
    elif not missing.keys:
        yield "missing", Text(f"no key: each has a document at the version, {read}", WARN)
    for number, key in enumerate(missing.keys):
        yield "" if number else "missing", Text(key_text(key), BAD)
    if missing.keys:
        yield "", Text(f"{some(len(missing.keys), 'key')}, {read}; documents by the ID of `reindexer index`")
