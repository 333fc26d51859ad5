"""What a job did not find: named keys that vanished, named partitions that are empty, no record at all."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from reindexer.models import PartitionTotals, Report, Verb, Verification
    from reindexer.tally import Outcome
    from reindexer.words import some


def not_found(report: Report, verb: Verb, totals: PartitionTotals) -> list[str]:
    """In words; nothing of a job that did not look everywhere."""
    if report.state == "cancelled":
        return []
    found = []
    if totals.empty:
        of = f"{totals.empty:,} of {some(len(totals.partitions) + totals.left_out, 'partition')}"
        found.append(f"no record found in {of}" if verb.runs_job else f"{of} empty")
    tally = report.dry_run.tally if report.dry_run else report.tally
    if vanished := tally[Outcome.VANISHED]:
        found.append(f"{vanished:,} of {some(tally.scanned, 'record')} vanished")
    only_read = None if verb.writes else report.verification
    if report.comparison is not None:
        only_read = Verification(scanned=report.comparison.counts.scanned)
    looked = only_read or tally  # else the verification reads what the query does not find, too
    if not looked.scanned and not found:
        found.append("the query found no record" if verb.runs_job else "no record found")
    return found


def unexplained(report: Report, verb: Verb, swept: int) -> list[str]:
    """That the job and the read after it differ by more records than anything it met accounts for."""
    checked, tally = report.verification, report.tally
    if checked is None or not verb.in_place:
        return []
    known = tally[Outcome.VANISHED] + tally[Outcome.DELETED] + report.attempts.conflicts + swept
    more, fewer = tally.scanned - checked.scanned, checked.scanned - tally.scanned
    if verb.runs_job:
        fewer = 0  # records outside its query are read by the verification alone
    if max(more, fewer) <= known:
        return []
    return [
        f"the job scanned {some(tally.scanned, 'record')}, the verification afterwards {checked.scanned:,}: "
        "others added or deleted some meanwhile, or the service hands out records twice, or not at all"
    ]
