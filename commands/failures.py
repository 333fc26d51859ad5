"""failures: list the records that a job gave up, or close them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from rich.text import Text

from commands.input.confirm import confirm
from commands.input.json_only import emit_json
from commands.input.keys import chosen, plain_text
from commands.input.options import AsJson, Job, KeyOptions, Reason, Run, Yes
from commands.rendering.screen import WARN, Cell, columns, line, note, say
from reindexer.errors import BadInput
from reindexer.ledger import Ledger
from reindexer.models import FailurePage, QuarantineEntry
from reindexer.settings import settings
from reindexer.words import count, some

PAGE = 20  # entries of a page: what a screen shows without scrolling


def failures(
    job: Job,
    error: Annotated[str | None, typer.Option(help="Only this error class.", metavar="CLASS")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Records per page.")] = PAGE,
    after: Annotated[
        str | None, typer.Option(help="Token with which the previous page ended.", metavar="TOKEN")
    ] = None,
    run: Run = None,
    discard: Annotated[
        bool, typer.Option("--discard", help="Close these records without changing them.")
    ] = False,
    key: KeyOptions = None,
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """List the records a job gave up, by error class. `redrive` runs them again, --discard closes them."""
    ledger = Ledger(settings().ledger_table)
    the_run = run or newest_run(ledger, job)
    if discard:
        discarded = _discard(ledger, job, the_run, error, key, reason, yes)
        if as_json:
            emit_json({"job": job, "run": the_run, "discarded": discarded})
        return
    if key or reason:
        raise BadInput("--key and --reason go with --discard; to run single records again: `reindexer redrive`")
    page = ledger.failures.page(job, the_run, error=error, limit=limit, after=after)
    if as_json:
        emit_json({"job": job, "run": the_run, **page.model_dump(mode="json")})
    else:
        more = _next_page(job, the_run, error, limit, page.after)
        _show(page, job, the_run, elsewhere(ledger, job, the_run), more)


def newest_run(ledger: Ledger, job: str) -> str:
    """The newest run of a job. Raises `BadInput` where the ledger has none."""
    run = ledger.runs.last(job)
    if run is None:
        raise BadInput(
            f"the ledger {ledger.table} has no job {job}; `reindexer list` shows the jobs of Temporal"
        )
    return run


def elsewhere(ledger: Ledger, job: str, run: str) -> str:
    """A clause with the commands that list what redrives of the run gave up again; "" for none."""
    redrives = ledger.failures.given_up_again(job, run)
    lists = " and ".join(f"`reindexer failures {shlex.quote(by)} --run {of}`" for by, of in redrives)
    return f"; some were given up again, see {lists}" if lists else ""


def _show(page: FailurePage, job: str, run: str, more: str, next_page: str) -> None:
    """On stdout; commands are never wrapped."""
    if not page.counts:
        line(f"{job}, run {run}: no open quarantined records{more}")
        return
    classes = sorted(page.counts.items(), key=lambda pair: (-pair[1], pair[0]))
    say(columns(((name, count(number)) for name, number in classes), ("error class", "records"), (1,)))
    say()
    say(columns(_rows(page.entries), ("key", "error class", "applied", "tries", "message"), (3,)))
    for text in filter(None, (more.removeprefix("; "), f"next page: {next_page}" if next_page else "")):
        line(f"\n{text}")


def _next_page(job: str, run: str, error: str | None, limit: int, after: str | None) -> str:
    """The command that shows what follows, with the options of this one; "" at the end."""
    if not after:
        return ""
    options = [f"--error {shlex.quote(error)}"] if error else []
    if limit != PAGE:
        options.append(f"--limit {limit}")
    return " ".join(("reindexer failures", job, "--run", run, *options, "--after", shlex.quote(after)))


def _rows(entries: Iterable[QuarantineEntry]) -> Iterator[tuple[Cell, ...]]:
    for entry in entries:
        applied = Text(entry.applied, WARN if entry.applied == "unknown" else "")
        yield plain_text(entry), entry.error, applied, count(entry.attempts), entry.message


def _discard(
    ledger: Ledger, job: str, run: str, error: str | None, keys: list[str] | None, reason: str | None, yes: bool
) -> int:
    """How many were closed."""
    if not reason:
        raise BadInput("--discard needs --reason, which is kept in the ledger")
    entries = chosen(ledger.failures.open(job, run, error), keys)
    if not entries:
        note(f"{job}, run {run}: no open quarantined records to discard{elsewhere(ledger, job, run)}")
        return 0
    question = f"Close {some(len(entries), 'quarantined record')} of {job} without having changed them?"
    confirm(question, yes=yes, otherwise="nothing was changed")
    for entry in entries:
        ledger.failures.close(job, run, entry.key, "discarded", reason)
    say(f"{some(len(entries), 'record')} of {job} discarded: {reason}")  # with --json on stderr
    return len(entries)
