"""The spine: our job beside the raw limit, beside a script, and beside an activity per record."""

from __future__ import annotations

from collections.abc import Callable

from evidence.benchmarks.activity_per_record import run_activities
from evidence.benchmarks.bare import Bare, run_bare, run_checked
from evidence.benchmarks.job import run_fresh
from evidence.benchmarks.measured import Floor, Row, Run, Section, Way, cpu_facts, interleaved, ratio
from evidence.benchmarks.script import run_script
from testbed.stack import Stack

_OF_BARE = 0.85  # of a loop that reads and writes the same: durability and exact counts may cost 15 %
_OF_SCRIPT = 10.0  # batches and processes, against single calls on threads
_OF_ACTIVITIES = 25.0  # rounds, against an activity a record
_EVENTS = 30.0  # per 10,000 records: a shard, its rounds, its verification
_GROWTH = 0.20  # of a worker's peak memory, when the table is this many times larger
_SCRIPT_SHARE, _ACTIVITIES_SHARE = 20, 40  # every n-th record: about as long a run as the job's own


def measure(
    servers: Stack, large: str, small: str, records: int, repeat: int, announce: Callable[[str], None]
) -> Section:
    """All rows, one after another, again and again."""
    few, fewer = max(500, records // _SCRIPT_SHARE), max(500, records // _ACTIVITIES_SHARE)
    job = Row("reindexer, whole job", note=f"verified; {servers.processes} processes")
    single_read = Row("reindexer, one read", note="not verified (verify: false)")
    lesser = Row("reindexer, small table", note="the same, on the small table")
    lean = Row("bare loop", note=f"our transport; {servers.processes} processes")
    checked = Row("bare loop, then a read", note="the same runs; then a consistent read, as in the job")
    boto3 = Row("bare loop, boto3", note=f"boto3's transport; {servers.processes} processes")
    script = Row("script", note=f"UpdateItem, 16 threads; {few:,} records, extrapolated")
    single = Row("activity per record", note=f"{fewer:,} records, extrapolated")

    def bare() -> Run:
        loop, whole = run_checked(servers, Bare(large))
        lean.runs.append(loop)
        return whole

    rows: list[Way] = [
        (job, lambda: run_fresh(servers, large)),
        (checked, bare),
        (single_read, lambda: run_fresh(servers, large, verify=False)),
        (lesser, lambda: run_fresh(servers, small)),
        (script, lambda: run_script(large, few)),
        (single, lambda: run_activities(servers, large, fewer)),
        (boto3, lambda: run_bare(servers, Bare(large, lean=False))),
    ]
    interleaved(rows, repeat, announce)
    found = Section("spine", [job, checked, single_read, lean, boto3, script, single, lesser])
    found.floors = [
        Floor("job / bare loop with the same reads and writes", ratio(job, checked), _OF_BARE),
        Floor("job that does not verify / bare loop", ratio(single_read, lean), _OF_BARE),
        Floor("job / script", ratio(job, script), _OF_SCRIPT),
        Floor("job / activity per record", ratio(job, single), _OF_ACTIVITIES),
        Floor("history events per 10,000 records", _events(job), _EVENTS, at_least=False),
        Floor("growth of a worker's peak memory", job.peak_mb / lesser.peak_mb - 1, _GROWTH, at_least=False),
    ]
    found.facts = [*_phases(job), *_phases(lesser), *cpu_facts(job, checked)]
    found.data = {
        "ratios": {row.name: round(ratio(job, row), 3) for row in (checked, lean, boto3, script, single)}
        | {"one read/bare loop": round(ratio(single_read, lean), 3)},
        "events_per_10000": round(_events(job), 2),
    }
    return found


def _events(row: Row) -> float:
    return row.detail("events") / row.runs[0].records * 1e4


def _phases(row: Row) -> list[str]:
    records = row.runs[0].records
    names = ("planning", "rounds", "verifying", "closing")
    phases = ", ".join(f"{name} {row.detail(name):.2f}" for name in names)
    return [
        f"{row.name}: {records:,} records in {records / row.rate:.2f} s ({phases})",
        f"    a round waited {row.detail('round_waited') * 1000:.0f} ms in its queue; "
        f"{_events(row):.1f} events per 10,000 records; peak {row.peak_mb:.0f} MB a process",
    ]
