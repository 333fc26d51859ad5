"""The Web UI's current details: the state of a job, as a small table in Markdown."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows.job.partition_totals import few

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Target
    from reindexer.tally import Outcome


def details(progress: dict[str, Any], target: Target | None, failed: list[str]) -> str:
    """`progress` as the query answers it; `failed`: partitions with quarantined records."""
    headline = f"**{progress['state']}**" + (f": {progress['reason']}" if progress["reason"] else "")
    if target is None:
        return headline
    tally, shards = progress["tally"], progress["shards"]
    counted = [(outcome.value, tally[outcome.value]) for outcome in Outcome if tally[outcome.value]]
    counted.append(("scanned", tally["scanned"]))
    if progress["isolated"]:
        counted.append(("isolated", progress["isolated"]))
    counted += [(name, count) for name, count in progress["attempts"].items() if count]
    rows = [(name, f"{count:,}") for name, count in counted]
    rows.append(("shards done", f"{shards['done']} of {shards['total']}"))
    rows.append(("records/s", f"{progress['records_per_second']:,.0f}"))
    if partitions := progress["partitions"]:
        rows.append(("partitions done", f"{partitions['done']:,} of {partitions['total']:,}"))
        if failed:
            rows.append(("with quarantined records", few(failed).replace("|", "\\|")))  # a bar ends a cell
    if verification := progress["verification"]:
        rows.append(("verified", f"{verification['scanned']:,}"))
        rows.append(("behind", f"{verification['behind']:,}"))
    if progress["cycle"]:
        rows.append(("runs of the workflow", f"{progress['cycle'] + 1:,}"))
    if progress["as_of"] and progress["state"] != "done":
        rows.append(("shards seen", progress["as_of"][:19].replace("T", " ") + " UTC"))
    return "\n".join(
        [
            f"{headline} · {target.operation.kind} `{target.table}` to version {target.version}",
            "",
            "| | |",
            "|---|---:|",
            # The Web UI draws cells without any padding: an em space keeps names and numbers apart.
            *[f"| {name}\u2003 | {value} |" for name, value in rows],
        ]
    )
