"""What each part of `make scale` found: as a table, and what of it does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from evidence.scale.cancels import Try
from evidence.scale.histories import MAX_BYTES, MAX_EVENTS, MAX_REPLAY_SECONDS, MAX_SIGNALS, RunOf
from evidence.scale.million import Million
from evidence.scale.shard_simulation import SimulatedShard
from evidence.scale.simulation import Simulated
from evidence.scale.storm import Seen
from reindexer.tally import Outcome

_RUN = "runs | events of the longest | signals | KB of the largest | replay of the longest"


@dataclass
class Part:
    """`text`: Markdown. `wrong`: what should hold and does not."""

    text: str
    wrong: list[str] = field(default_factory=list)


def bounded(name: str, runs: Sequence[RunOf]) -> list[str]:
    """What of a chain is beyond the bounds of a run."""
    wrong = []
    for run in runs:
        if run.events >= MAX_EVENTS or run.signals >= MAX_SIGNALS or run.bytes >= MAX_BYTES:
            wrong.append(
                f"{name}, run {run.number}: {run.events} events, {run.signals} signals, {run.bytes} bytes"
            )
    seconds = longest(runs).replay_seconds()
    if seconds >= MAX_REPLAY_SECONDS:
        wrong.append(f"{name}: the longest run takes {seconds:.1f} s to replay")
    return wrong


def longest(runs: Sequence[RunOf]) -> RunOf:
    """The one with the most events."""
    return max(runs, key=lambda run: run.events)


def of_simulation(found: Iterable[Simulated]) -> Part:
    """A row a scenario."""
    part = Part(table_head(f"scenario | in flight | days, verification included | {_RUN}"))
    for one in found:
        scenario = one.scenario
        part.text += table_row(scenario.name, scenario.in_flight, f"{one.days:.1f}", *_of_runs(one.runs))
        part.wrong += bounded(scenario.name, one.runs)
        if one.report["state"] != "complete":
            part.wrong.append(f"{scenario.name}: {one.report['state']}")
    return part


def of_shard(found: SimulatedShard) -> Part:
    """One row."""
    counts = found.back.summary.counts
    part = Part(table_head(f"days | rounds | records | quarantined | states kept in the ledger | {_RUN}"))
    part.text += table_row(
        f"{found.days:.1f}",
        f"{found.rounds:,}",
        f"{counts.tally.scanned:,}",
        counts.tally[Outcome.QUARANTINED],
        found.kept,
        *_of_runs(found.runs),
    )
    part.wrong += bounded("one shard", found.runs)
    if found.back.how != "done" or not counts.tally.balanced():
        part.wrong.append(f"one shard: {found.back}")
    return part


def of_storm(seen: Seen) -> Part:
    """What went on, and what the job made of it."""
    tally, verification = seen.report["tally"], seen.report["verification"]
    part = Part(table_head(f"the root of the storm | {_RUN}") + table_row("", *_of_runs(seen.runs)))
    part.text += (
        f"\n{seen.rows:,} records in {seen.seconds / 60:.0f} minutes, {seen.verify_seconds / 60:.0f} of them "
        f"verifying: {tally['updated']:,} updated, {verification['scanned']:,} verified, "
        f"{verification['behind']:,} behind; at the engine {seen.changed:,} were changed, "
        f"{seen.changed_twice} of them twice. {seen.report['attempts']['throttled']:,} throttled statements, "
        f"limits changed {seen.limits_set} times, {seen.killed} workers killed. {len(seen.pauses)} pauses "
        f"got in, after {median(seen.pauses):.1f} s at the median, {max(seen.pauses):.1f} s at most (a killed "
        f"worker's rounds end with the heartbeat timeout of 10 s). {len(seen.refused)} updates or signals were "
        "sent twice.\n"
    )
    part.wrong += bounded("storm", seen.runs)
    if not (
        seen.report["state"] == "complete"
        and tally["scanned"] == tally["updated"] == verification["scanned"] == seen.changed == seen.rows
        and not seen.changed_twice
        and len(seen.runs) > 1
    ):
        part.wrong.append(f"storm: {seen.report}, {seen.changed} changed, {seen.changed_twice} twice")
    return part


def of_cancels(found: Sequence[Try]) -> Part:
    """A row a kind of job."""
    part = Part(
        table_head("job | cancelled | while planning | at work | after it | report agrees with the table")
    )
    for job in dict.fromkeys(one.job for one in found):
        mine = [one for one in found if one.job == job]
        planning = sum(one.state not in ("running", "verifying", "throttled", "done") for one in mine)
        done = sum(one.state == "done" for one in mine)
        exact = sum(one.exact for one in mine)
        part.text += table_row(
            job, len(mine), planning, len(mine) - planning - done, done, f"{exact} of {len(mine)}"
        )
    part.wrong += [f"cancel: {one}" for one in found if not one.exact]
    return part


def of_million(found: Million) -> Part:
    """One row, and a line for memory."""
    tally = found.report["tally"]
    part = Part(table_head("records | seconds | records/s | verified | events in all | of the root | its KB"))
    part.text += table_row(
        f"{tally['updated']:,}",
        f"{found.seconds:.0f}",
        f"{tally['scanned'] / found.seconds:,.0f}",
        f"{found.report['verification']['scanned']:,}",
        f"{found.events:,}",
        f"{sum(run.events for run in found.runs):,}",
        f"{sum(run.bytes for run in found.runs) // 1024:,}",
    )
    memory = ", ".join(f"{name} {mb:,.0f} MB" for name, mb in found.memory.items())
    part.text += f"\nPeak memory: {memory}.\n"
    if found.report["state"] != "complete":
        part.wrong.append(f"million: {found.report}")
    part.wrong += bounded("million", found.runs)
    return part


def _of_runs(runs: Sequence[RunOf]) -> tuple[object, ...]:
    top = longest(runs)
    return (
        len(runs),
        f"{top.events:,}",
        f"{max(run.signals for run in runs):,}",
        f"{max(run.bytes for run in runs) // 1024:,}",
        f"{top.replay_seconds():.1f} s",
    )


def table_head(heading: str) -> str:
    return f"| {heading} |\n|{'---|' * (heading.count('|') + 1)}\n"


def table_row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |\n"
