"""What a job did not find: named keys that vanished, named partitions that are empty, no record at all."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from reindexer.models import PartitionTotals, Report


def not_found(report: Report, totals: PartitionTotals) -> list[str]:
    """In words; nothing of a job that did not look everywhere."""
    if report.state not in ("complete", "incomplete"):
        return []
    transforms = report.operation.get("kind") == "transform"
    told = []
    if totals.empty:
        of = f"{totals.empty:,} of {_some(len(totals.partitions) + totals.left_out, 'partition')}"
        told.append(f"no record found in {of}" if transforms else f"{of} empty")
    tally = report.dry_run.tally if report.dry_run else report.tally
    if tally.vanished:
        told.append(f"{tally.vanished:,} of {_some(tally.scanned, 'record')} vanished")
    only_read = report.verification if report.operation.get("kind") == "verify" else None
    looked = only_read or tally  # else the verification reads what the query does not find, too
    if not looked.scanned and not told:
        told.append("the query found no record" if transforms else "no record found")
    return told


def unexplained(report: Report, swept: int) -> list[str]:
    """That the job and the read after it differ by more records than anything it met accounts for."""
    checked, tally = report.verification, report.tally
    if checked is None or report.operation.get("kind") == "verify":
        return []
    known = tally.vanished + tally.deleted + report.attempts.conflicts + swept
    more, fewer = tally.scanned - checked.scanned, checked.scanned - tally.scanned
    if report.operation.get("kind") == "transform":
        fewer = 0  # records outside its query are read by the verification alone
    if max(more, fewer) <= known:
        return []
    return [
        f"the job scanned {_some(tally.scanned, 'record')}, the verification afterwards {checked.scanned:,}: "
        "others added or deleted some meanwhile, or the service hands out records twice, or not at all"
    ]


def _some(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
