"""differences: list what a comparison found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from commands.failures import PAGE, newest_run
from commands.input.json_only import emit_json
from commands.input.options import AsJson, Job, Run
from commands.rendering.screen import BAD, DIM, GOOD, WARN, Cell, columns, note, say
from commands.temporal.later import later_run
from reindexer.errors import BadInput, EnvironmentFault
from reindexer.items import key_text
from reindexer.ledger import Ledger
from reindexer.models import Compared, Difference, Differing, FoundDifference, Report, ShardPlace
from reindexer.objects import ObjectPlace, object_place, write_object
from reindexer.operations import verb_noted
from reindexer.settings import settings
from reindexer.words import count, some


class _Place(NamedTuple):
    """Where a difference is kept. The first one's is (0, 0, 0)."""

    shard: int
    chunk: int
    line: int

    def __str__(self) -> str:
        return f"{self.shard}.{self.chunk}.{self.line}"


class _Found(NamedTuple):
    place: _Place
    difference: FoundDifference


def differences(
    job: Job,
    kind: Annotated[Difference | None, typer.Option(help="Only differences of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Differences per page.")] = PAGE,
    after: Annotated[
        str | None, typer.Option(help="Token with which the previous page ended.", metavar="TOKEN")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write all to this file, or s3://BUCKET/KEY, one JSON a line."),
    ] = None,
    run: Run = None,
    as_json: AsJson = False,
) -> None:
    """List how two tables differ, from the ledger, or write all of it to a file.

    Of a job that has not ended: what it has found so far. Says so where the newest run has left no report.

    Exit codes: 0 listed, 2 no such comparison, or no such bucket.
    """
    target = object_place(output) if output is not None else None
    ledger = Ledger(settings().ledger_table)
    the_run = run or newest_run(ledger, job)
    found, ended = _comparison(ledger, job, the_run)
    if run is None and (later := later_run(job, the_run)):
        note(later, WARN)
    if not ended:
        note(f"{job} has not ended: these are the differences that it has found so far")
    wanted = _every(ledger, job, the_run, found, _place(after))
    if kind is not None:
        wanted = (entry for entry in wanted if entry.difference.kind is kind)
    if output is not None:
        written = _written(target or Path(output), wanted)
        if as_json:
            emit_json({"job": job, "run": the_run, "file": output, "written": written, "ended": ended})
        else:
            note(f"{some(written, 'difference')} written to {output}")
        return
    page = list(islice(wanted, limit + 1))
    following = str(page[limit - 1].place) if len(page) > limit else None
    shown = [entry.difference for entry in page[:limit]]
    if as_json:
        counts = {each.value: number for each, number in found.counts.differences.items()}
        lines = [difference.model_dump(mode="json") for difference in shown]
        page_of = {"job": job, "run": the_run, "ended": ended, "counts": counts if ended else None}
        emit_json({**page_of, "differences": lines, "after": following})
    else:
        command = _next_page(job, the_run, kind, limit, following)
        say(_rendered(job, the_run, found if ended else None, shown, command))


def _comparison(ledger: Ledger, job: str, run: str) -> tuple[Compared, bool]:
    """(what it came to, whether it has ended): before, nothing but how much the ledger has of each shard."""
    report = ledger.reports.find(job, run)
    # A check of what a job has written is done once it is in the report, but for a replica's complete one.
    done = report.comparison if report is not None and not _compares(report) else None
    if report is None or report.state == "running":
        chunks = ledger.differences.so_far(job, run)
        more = bool(chunks) if done is None else _checks(report) and sum(chunks) > sum(done.chunks)
        if more or (report is not None and done is None and (_compares(report) or _checks(report))):
            return Compared(chunks=chunks), False
    if report is None:
        raise BadInput(f"the ledger {ledger.table} has no report of run {run} of job {job}")
    if report.comparison is None:
        raise BadInput(f"{job} compared nothing: it is a {report.operation.get('kind', '?')}")
    return report.comparison, True


def _compares(report: Report) -> bool:
    """Whether the job is a comparison."""
    verb = verb_noted(report.operation)
    return verb is None or verb.compares


def _checks(report: Report | None) -> bool:
    """Whether it compares a replica that it has written."""
    verb = verb_noted(report.operation) if report else None
    return verb is not None and verb.copies and not verb.rewrites


def _place(token: str | None) -> _Place | None:
    if token is None:
        return None
    if not re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,7}\.[0-9]{1,9}", token):
        raise BadInput(f"should be the token with which a page ended (given: {token})", "--after")
    return _Place(*map(int, token.split(".")))


def _every(ledger: Ledger, job: str, run: str, found: Compared, after: _Place | None) -> Iterator[_Found]:
    """All of them in the order in which they are kept, a chunk at a time."""
    for shard, chunks in enumerate(found.chunks):
        for chunk in range(chunks):
            if after is not None and (shard, chunk) < after[:2]:
                continue
            for line, difference in enumerate(_whole(ledger, job, run, shard, chunk, found)):
                place = _Place(shard, chunk, line)
                if after is None or place > after:
                    yield _Found(place, difference)


def _whole(
    ledger: Ledger, job: str, run: str, shard: int, chunk: int, found: Compared
) -> Iterator[FoundDifference]:
    """A chunk; of a job that goes on, one that is just being written counts as not there yet."""
    try:
        yield from ledger.differences.of(ShardPlace(job=job, run=run, index=shard), chunk)
    except EnvironmentFault as error:
        if error.code != "DifferencesMissing" or found.counts.scanned:
            raise


def _written(target: ObjectPlace | Path, found: Iterable[_Found]) -> int:
    number = 0

    def lines() -> Iterator[bytes]:
        nonlocal number
        for entry in found:
            number += 1
            yield entry.difference.model_dump_json().encode() + b"\n"

    if isinstance(target, ObjectPlace):
        write_object(target, lines())
    else:
        try:
            file = target.open("wb")
        except OSError as error:
            raise BadInput(f"{target} cannot be written: {error.strerror}", "--output") from None
        with file:
            file.writelines(lines())
    return number


def _rendered(
    job: str,
    run: str,
    found: Compared | None,
    shown: list[FoundDifference],
    next_page: str,
) -> Group | Text:
    """`found`: None while the job goes on, which has no counts yet. `next_page`: the command for it, or ""."""
    counts = {each: number for each, number in found.counts.differences.items() if number} if found else {}
    if not counts and not shown:
        return Text(f"{job}, run {run}: no differences" + ("" if found else " so far"))
    parts: list[Table | Text] = []
    if counts:
        kinds = ((each.value, count(number)) for each, number in counts.items())
        parts = [columns(kinds, ("kind", "keys"), (1,)), Text()]
    parts.append(columns(_rows(shown), ("kind", "key", "attribute", "table", "other")))
    if next_page:
        parts += [Text(), Text(f"next page: {next_page}", DIM)]
    return Group(*parts)


def _next_page(job: str, run: str, kind: Difference | None, limit: int, after: str | None) -> str:
    """The command that shows what follows, with the options of this one; "" at the end."""
    if after is None:
        return ""
    options = [f"--kind {kind}"] if kind else []
    if limit != PAGE:
        options.append(f"--limit {limit}")
    return " ".join(("reindexer differences", job, "--run", run, *options, "--after", after))


def _rows(shown: Iterable[FoundDifference]) -> Iterator[tuple[Cell, ...]]:
    for difference in shown:
        key = key_text(difference.key)
        first = difference.attributes[0] if difference.attributes else None
        yield difference.kind.value, key, *_attribute(first)
        for attribute in difference.attributes[1:]:
            yield "", "", *_attribute(attribute)
        if difference.more:
            yield "", "", Text(f"and {difference.more:,} more", DIM), "", ""


def _attribute(attribute: Differing | None) -> tuple[Cell, Cell, Cell]:
    if attribute is None:
        return "", "", ""
    table = Text(attribute.table, GOOD) if attribute.table is not None else Text("missing", DIM)
    other = Text(attribute.other, BAD) if attribute.other is not None else Text("missing", DIM)
    return attribute.path, table, other
