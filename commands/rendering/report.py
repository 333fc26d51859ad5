"""Rendering a job's report, for every command that shows one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.arrival import arrival_rows
from commands.rendering.comparison import check_text, comparison_rows, estimate_row, verdict
from commands.rendering.dry_run import render_dry_run
from commands.rendering.figures import ambiguous_text, attempts_text
from commands.rendering.index import index_rows
from commands.rendering.partitions import partitions
from commands.rendering.screen import BAD, DIM, GOOD, WARN, columns, facts, moment
from reindexer.models import Compared, Report, Verb
from reindexer.models.by_partition import brief
from reindexer.operations import verb_noted
from reindexer.tally import MEANING, Outcome
from reindexer.words import count, duration, per_second, some

STYLE = {
    "complete": GOOD,
    "incomplete": BAD,
    "failed": BAD,
    "terminated": BAD,
    "cancelled": WARN,
    "running": "",
}


def render_report(report: Report) -> RenderableType:
    """The whole report, as wide as the terminal."""
    if report.dry_run:
        verb = _verb(report)
        return render_dry_run(
            report.dry_run,
            [*report.not_found, *report.warnings],
            writes_index=verb is not None and verb.writes_index,
        )
    return Group(
        _headline(report),
        Text(),
        columns(_outcomes(report), right=(1,)),
        Text(),
        facts(_facts(report)),
        *partitions(report),
        *_what_next(report),
    )


def headline(report: Report) -> str:
    """The report in one line, without colour."""
    return _headline(report).plain


def _headline(report: Report) -> Text:
    records = _records(report)
    speed = records / report.seconds if report.seconds else 0.0
    if report.as_of:
        return Text.assemble(
            (report.state, f"bold {STYLE[report.state]}".strip()),
            f"  at least {some(records, 'record')}, as of {moment(report.as_of)}",
        )
    return Text.assemble(
        (report.state, f"bold {STYLE[report.state]}"),
        f"  {some(records, 'record')} in {duration(report.seconds)}, ",
        (f"{per_second(speed).removesuffix('/s')} records/s", "bold"),
        *((f", {words}", f"bold {WARN}") for words in report.not_found),
        *([_verdict(report, found)] if (found := _subject(report)) and report.state == "complete" else []),
    )


def _verdict(report: Report, found: Compared) -> Text:
    if not _repaired(report):
        return verdict(found.counts)
    return Text(f", {count(report.tally.settled)} repaired", f"bold {GOOD}")


def _verb(report: Report) -> Verb | None:
    """None: of a version of this program that knows more verbs."""
    return verb_noted(report.operation)


def _only_reads(report: Report) -> bool:
    verb = _verb(report)
    return verb is not None and not verb.writes


def _repaired(report: Report) -> bool:
    """Whether what a comparison found was written to the other table."""
    verb = _verb(report)
    return _subject(report) is not None and verb is not None and verb.writes and report.writer != "none"


def _copies(report: Report) -> bool:
    """Whether a comparison is a check of what the job has written."""
    verb = _verb(report)
    return verb is not None and verb.copies


def _subject(report: Report) -> Compared | None:
    """The comparison that the job was for."""
    verb = _verb(report)
    return None if _copies(report) or (verb and verb.makes_index) else report.comparison


def _stamps(report: Report) -> bool:
    verb = _verb(report)
    return verb is None or verb.stamps


def _records(report: Report) -> int:
    """How many records the job looked at; one that only reads has no outcomes."""
    if (compared := _subject(report)) is not None:
        return compared.counts.scanned
    if _only_reads(report) and report.verification:
        return report.verification.scanned
    return report.tally.scanned


def _outcomes(report: Report) -> Iterator[tuple[str | Text, ...]]:
    compared = _subject(report)
    if compared is not None:
        yield from comparison_rows(compared.counts, documents="search" in report.operation.get("with", {}))
        if compared.estimate:
            yield estimate_row(compared.estimate)
        if not _repaired(report):
            return
    if _only_reads(report) and report.verification:
        behind = report.verification.behind
        yield Text("behind", BAD if behind else ""), count(behind), Text("not at the target", DIM)
        yield "scanned", count(report.verification.scanned), Text("read consistently", DIM)
        return
    verb = _verb(report)
    own, possible = (verb.words, verb.outcomes) if verb else ({}, list(Outcome))
    for outcome in Outcome:
        number = report.tally[outcome]
        # A zero is shown only where it matters: nothing changed, or nothing given up.
        if number or (outcome in (Outcome.UPDATED, Outcome.QUARANTINED) and outcome in possible):
            quarantined = outcome is Outcome.QUARANTINED
            style = BAD if number and quarantined and report.left != 0 else ""
            words = own.get(outcome, MEANING[outcome]) + (_left(report) if quarantined else "")
            yield Text(outcome.value, style), Text(count(number), style), Text(words, DIM)
    if compared is not None:
        differ = sum(compared.counts.differences.values())
        done = Text(f"{count(report.tally.settled)} of them repaired", WARN)
        yield "to repair", count(differ), _balance(report) if differ == report.tally.settled else done
    else:
        yield "scanned", count(report.tally.scanned), _balance(report)


def _left(report: Report) -> str:
    if report.left is None:
        return ""
    return f"; {some(report.left, 'record')} not redriven since" if report.left else "; all redriven since"


def _balance(report: Report) -> Text:
    if report.as_of:
        return Text("a lower bound, as are the others", WARN)
    if report.balanced:
        return Text("balanced", DIM)
    if not _defect(report):
        open_ = report.tally.scanned - report.tally.settled
        return Text(f"balanced, except for {count(open_)} in progress when it was cancelled", DIM)
    return Text("NOT balanced: outcomes do not add up to it", BAD)


def _defect(report: Report) -> bool:
    """Whether counts differ because of a defect.

    A cancelled job may leave isolated records without outcome, and one that has not ended has them under way.
    """
    return not (report.balanced or report.as_of) and (
        report.state != "cancelled" or bool(report.unbalanced_shards or report.unbalanced_partitions)
    )


def _facts(report: Report) -> Iterator[tuple[str, RenderableType]]:
    yield "job", f"{report.job}, run {report.run}, started {moment(report.started_at)}"
    yield "table", _aim(report)
    if not _only_reads(report):
        yield "attempts", attempts_text(report.attempts)
        if report.attempts.ambiguous:
            yield "", ambiguous_text(report.attempts.ambiguous)
        verb = _verb(report)
        if verb and verb.copies:
            yield from () if verb.rewrites else (("compared", check_text(report.comparison)),)
        elif verb and verb.writes_other:
            yield "verify with", f"reindexer compare {report.table} {_other(report)}"
        elif verb and verb.writes_index:
            yield from index_rows(report) if verb.makes_index else ()
            if report.comparison is not None:
                yield "compared", check_text(report.comparison, "index")
        elif report.verification or not report.as_of:
            yield "verified", _verification(report)
        if report.arrival is not None:
            yield from arrival_rows(report.arrival)
        yield "shards", count(report.shards) + _unbalanced(str(i) for i in report.unbalanced_shards)
        if report.partitions or report.unbalanced_partitions:
            wrong = (brief(name) for name in report.unbalanced_partitions)
            yield "partitions", count(len(report.partitions)) + _unbalanced(wrong)
        yield "written by", report.writer + _consumed(report)
    for index, warning in enumerate(report.warnings):
        yield "" if index else "warnings", Text(warning, WARN)
    for index, event in enumerate(report.controls):
        details = [moment(event.at), event.what]
        changed = (event.limits or {}).items()
        details += [f"{name}={'chosen' if value is None else value}" for name, value in changed]
        details += [f"({event.reason})"] if event.reason else []
        yield "" if index else "controls", " ".join(details)


def _aim(report: Report) -> str:
    operation = report.operation
    verb = _verb(report)
    if verb and verb.copies:
        done = "again to" if verb.rewrites else "replicated to"
        return f"{report.table}, {done} {operation.get('to', {}).get('table', '?')}"
    if verb and verb.writes_other and report.writer != "none":
        return f"{report.table}, {'filling' if operation.get('backfill') else 'repairing'} {_other(report)}"
    if report.comparison is not None:
        return f"{report.table}, compared with {_other(report)}"
    if verb and verb.writes_index:
        return f"{report.table}, {'again ' if verb.rewrites else ''}to the index of epoch {report.version}"
    to = f" to version {report.version}" if _stamps(report) else ""
    return f"{report.table}, {operation.get('kind', '?')}{to}"


def _other(report: Report) -> str:
    named = report.operation.get("with", {})
    return str(named.get("table") or named.get("alias") or named.get("index", "?"))


def _verification(report: Report) -> Text:
    found = report.verification
    if found is None:
        return Text("no")
    if found.behind:
        return Text(f"{count(found.scanned)} read consistently afterwards, {count(found.behind)} behind", BAD)
    return Text(f"{count(found.scanned)} read consistently afterwards, none behind", GOOD)


def _unbalanced(names: Iterable[str]) -> str:
    wrong = ", ".join(names)
    return f", not balanced: {wrong}" if wrong else ""


def _consumed(report: Report) -> str:
    units = [
        some(round(value), name.replace("_", " ").removesuffix("s"))
        for name, value in report.consumed.items()
        if value
    ]
    return f", {', '.join(units)} consumed" if units else ""


def _what_next(report: Report) -> Iterator[Text]:
    """What the reader can do about an incomplete job, or look at."""
    if report.comparison is not None and any(report.comparison.counts.differences.values()):
        yield Text()
        yield Text(f"see them:   reindexer differences {report.job}")
        return
    if report.state == "terminated":
        yield Text()
        yield from _again(report, "To bring the rest to this version:", "To do the rest:")
    if report.tally[Outcome.QUARANTINED] and report.left != 0:
        yield Text()
        yield Text(f"see them:   reindexer failures {report.job}")
        yield Text(f"run again:  reindexer redrive {report.job}")
    elif report.verification and report.verification.behind and report.state != "terminated":
        yield Text()
        why = "" if _only_reads(report) else "Records were added or overwritten meanwhile. "
        yield from _again(report, f"{why}To bring them to this version:", f"{why}To do them:")
    if _defect(report):
        yield Text()
        yield Text("Counts that do not add up are a defect in this program: please report it.", BAD)


def _again(report: Report, to_the_version: str, otherwise: str) -> Iterator[Text]:
    """The command for what is left."""
    stamps = _stamps(report)
    yield Text(to_the_version if stamps else otherwise)
    more = f"--version {report.version}" if stamps else f"--operation {report.operation['kind']}"
    yield Text(f"  reindexer start {report.table} {more}")
