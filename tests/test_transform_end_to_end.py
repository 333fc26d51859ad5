"""Whole jobs with a user's query and function, on the real server and a real engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from testbed.job import outcome, until
from testbed.stack import Stack
from tests.tables import Table
from tests.test_control import has_begun
from tests.written_jobs import HEAD

MakeTable = Callable[..., Table]

PACED = {"records_per_second": 300}  # 3,000 records last for 10 s, however fast the machine is
TEXT = """
def transform(item, params):
    return Update(set={"name": item["name"].upper()})
"""


def transform(table: Table, job: str, params: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    operation = {"kind": "transform", "job": job, "params": params or {}}
    return {"table": table.name, "operation": operation, **more}


async def test_a_derived_attribute_is_written_and_verified(quiet: Stack, make_table: MakeTable) -> None:
    table = make_table()
    table.fill(300, population={"N": "20000"}, countrycode={"S": "DE"}, alternatenames={"L": [{"S": "x"}]})
    handle = await quiet.start(transform(table, "size_class", total_segments=3))
    kind, report = await outcome(handle)
    assert kind == "complete", report
    assert (report["tally"]["scanned"], report["tally"]["updated"]) == (300, 300)
    assert report["verification"] == {"scanned": 300, "behind": 0}
    assert {(row["size_class"]["S"], row["country_name"]["S"]) for row in table.items()} == {
        ("town", "Germany")
    }
    handle = await quiet.start(transform(table, "size_class"))
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["filtered"], report["verification"]["behind"]) == ("complete", 300, 0)
    assert len(report["code"]) == 64


async def test_a_table_that_cannot_be_restored_is_not_deleted_from_unless_allowed(
    quiet: Stack, make_table: MakeTable
) -> None:
    table = make_table()
    table.fill(60, created_at={"N": "1000"})
    table.put({"id": {"S": "young"}, "created_at": {"N": "99999999999"}})
    asked = transform(table, "expire", {"older_than_days": 30})
    kind, details = await outcome(await quiet.start(asked))
    assert kind == "NoRecovery", details
    kind, report = await outcome(await quiet.start({**asked, "allow_no_recovery": True}))
    assert (kind, report["tally"]["deleted"], report["tally"]["scanned"]) == ("complete", 60, 60)
    assert [row["id"] for row in table.items()] == [{"S": "young"}]
    assert any("not counted" in warning for warning in report["warnings"])


@pytest.mark.parametrize(
    ("job", "params", "says"),
    [
        ("expires", {}, "there is no job 'expires' (did you mean expire?); there are: expire, normalise"),
        ("expire", {"older_than": 3}, "older_than: is not a known field"),
        ("expire", {"older_than_days": "x"}, "older_than_days: "),
        ("expire", {}, "older_than_days: is missing (job 'expire' takes: older_than_days, attribute, now)"),
    ],
)
async def test_unknown_jobs_and_wrong_parameters_fail_at_once(
    quiet: Stack, make_table: MakeTable, job: str, params: dict[str, Any], says: str
) -> None:
    kind, details = await outcome(await quiet.start(transform(make_table(), job, params)))
    assert kind == "BadInput"
    assert says in details["message"]


async def test_a_dry_run_shows_what_would_be_and_writes_nothing(quiet: Stack, make_table: MakeTable) -> None:
    table = make_table()
    table.fill(40, name={"S": " a  b "})
    before = list(table.items())
    kind, report = await outcome(await quiet.start(transform(table, "normalise_whitespace", dry_run=True)))
    assert kind == "complete"
    assert report["tally"]["scanned"] == 0
    assert report["dry_run"]["tally"]["updated"] == 40
    assert len(report["dry_run"]["pairs"]) == 10
    assert report["dry_run"]["pairs"][0]["changes"] == [
        {"name": "name", "before": '" a  b "', "after": '"a b"'}
    ]
    assert list(table.items()) == before


@pytest.fixture
async def own(quiet: Stack, tmp_path: Path) -> AsyncIterator[Any]:
    """Workers with a folder of jobs of their own: `start(text)` writes job.py and starts them."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    with contextlib.ExitStack() as running:

        def start(text: str) -> Any:
            (folder / "job.py").write_text(HEAD + text)
            settings = {"REINDEXER_JOBS": str(folder), "REINDEXER_PROCESSES": "1"}
            made = quiet.beside(f"own-{tmp_path.name}", settings)
            return running.enter_context(made.workers)

        yield start


async def begin(stack: Stack, tmp_path: Path, table: Table, **more: Any) -> Any:
    client = await stack.connect()
    queue = f"own-{tmp_path.name}"
    name = f"job-{tmp_path.name}"
    return await client.start_workflow(
        "ReindexTable", transform(table, "job", **more), id=name, task_queue=queue
    )


@pytest.mark.nightly
async def test_a_query_that_finds_nothing_is_said_in_plan_dry_run_and_report(
    quiet: Stack, make_table: MakeTable, own: Any, tmp_path: Path
) -> None:
    """By a mistake in a name, or by a right one that no record answers to."""
    own(
        """
from reindexer import Name
class P(Params):
    name: str = ""
    literal: str = ""
    value: str = "old"
def query(params):
    return (Name(params.literal) if params.literal else Attr(params.name)).eq(params.value)
def transform(item, params):
    return Update(set={"example.txt": "new"})
"""
    )
    table = make_table()
    table.fill(25, **{"example.txt": {"S": "old"}})
    cases = (
        (
            {"name": "example.txt"},
            "; none of them has an attribute 'example'; Attr('example.txt') leads into",
            0,
        ),
        ({"literal": "example.txt", "value": "other"}, "", 0),
        ({"literal": "example.txt"}, "", 25),
    )
    for params, why, finds in cases:
        for tries in (True, False):
            handle = await begin(quiet, tmp_path, table, params=params, dry_run=tries)
            kind, report = await outcome(handle)
            tally = report["dry_run"]["tally"] if tries else report["tally"]
            assert (kind, tally["scanned"], tally["updated"]) == ("complete", finds, finds), report
            warnings = [text for text in report["warnings"] if text.startswith("the query finds")]
            assert report.get("not_found", []) == ([] if finds else ["the query found no record"])
            assert len(warnings) == (not finds)
            assert all(
                text.startswith(f"the query finds none of the table's 25 records{why}") for text in warnings
            )
    assert {item["example.txt"]["S"] for item in table.items()} == {"new"}


async def test_a_function_that_fails_on_everything_parks_the_job_within_seconds(
    quiet: Stack, make_table: MakeTable, own: Any, tmp_path: Path
) -> None:
    own("\ndef transform(item, params):\n    return 1 / 0\n")
    table = make_table()
    table.fill(2000)
    handle = await begin(quiet, tmp_path, table, limits={"quarantined": 20}, total_segments=2)
    state = await until(handle, lambda p: p["state"] == "parked", 30)
    assert state["tally"]["quarantined"] < 400
    details = await handle.query("failures")
    assert details["failures"][0]["message"] == "division by zero (job.py:4)"
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"


async def test_changed_code_parks_the_job_until_it_is_accepted(
    quiet: Stack, make_table: MakeTable, own: Any, tmp_path: Path
) -> None:
    first = own(TEXT)
    table = make_table()
    table.fill(3000, name={"S": "ulm"})
    handle = await begin(quiet, tmp_path, table, total_segments=2, limits=PACED)
    await has_begun(handle, table)
    assert await asyncio.to_thread(first.stop) == 0
    own("\n# the same job in other words" + TEXT)
    state = await until(handle, lambda p: p["state"] == "parked")
    assert "the job's code changed" in state["reason"]
    code = state["reason"].split("this worker has ")[1].split()[0]
    await handle.signal("resume", {"code": code.upper()})  # no hash: the job stays where it is
    state = await until(handle, lambda p: "a resume was refused: code: should be" in p["reason"])
    assert state["state"] == "parked"
    await handle.signal("resume", {"code": code, "reason": "read and agreed"})
    await handle.execute_update("set_limits", {"records_per_second": "unlimited"})
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"], report["code"]) == ("complete", 3000, code)
    assert {row["name"]["S"] for row in table.items()} == {"ULM"}


@pytest.mark.nightly
async def test_killed_workers_in_the_middle_of_a_transform_change_no_record_twice(
    quiet: Stack, make_table: MakeTable, own: Any, tmp_path: Path
) -> None:
    """The function is not idempotent on purpose: done twice it would show."""
    workers = own('\ndef transform(item, params):\n    return Update(set={"n": item["n"] + 1})\n')
    table = make_table()
    table.fill(2500, n={"N": "1"})
    handle = await begin(quiet, tmp_path, table, total_segments=2, limits=PACED)
    await has_begun(handle, table)
    workers.kill()
    done = sum(item["n"] == {"N": "2"} for item in table.items())
    assert 0 < done < 2500
    workers.start()
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"], report["tally"]["scanned"]) == ("complete", 2500, 2500)
    assert {row["n"]["N"] for row in table.items()} == {"2"}


async def test_work_with_side_effects_is_done_for_every_record_and_paced(
    quiet: Stack, make_table: MakeTable, own: Any, tmp_path: Path
) -> None:
    log = tmp_path / "called"
    text = f"""
def process(item, params):
    with open({str(log)!r}, "a") as file:
        file.write(item["id"] + "\\n")
"""
    own(text)
    table = make_table()
    table.fill(150)
    handle = await begin(quiet, tmp_path, table, limits={"records_per_second": 100}, total_segments=3)
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["updated"], report["verification"]["behind"]) == ("complete", 150, 0)
    assert len(log.read_text().split()) == 150
    assert report["seconds"] > 1


async def test_a_broken_job_file_stops_the_worker_and_is_named(quiet: Stack, own: Any, tmp_path: Path) -> None:
    workers = own("\ndef transform(item, params)\n    return None\n")
    assert await asyncio.to_thread(workers.wait, 30) == 2
    assert "job.py, line 3: SyntaxError" in workers.log.read_text()


async def test_failures_are_redriven_on_the_corrected_code(
    quiet: Stack, make_table: MakeTable, own: Any, tmp_path: Path
) -> None:
    first = own(TEXT)
    table = make_table()
    table.fill(100, name={"S": "ulm"})
    table.put(*({"id": {"S": f"bad-{number}"}, "name": {"N": "1"}} for number in range(5)))
    handle = await begin(quiet, tmp_path, table, total_segments=2)
    kind, report = await outcome(handle)
    assert (kind, report["tally"]["quarantined"]) == ("Incomplete", 5)
    entries = quiet.ledger().failures.open(handle.id, report["run"])
    assert {(entry.error, entry.code) for entry in entries} == {("AttributeError", report["code"])}
    assert await asyncio.to_thread(first.stop) == 0
    own(TEXT.replace('item["name"]', 'str(item["name"])'))
    scope = {"kind": "quarantined", "job": handle.id, "run": report["run"]}
    client = await quiet.connect()
    redecide = await client.start_workflow(
        "ReindexTable",
        {"table": table.name, "scope": scope},
        id=f"{handle.id}-again",
        task_queue=f"own-{tmp_path.name}",
    )
    kind, second = await outcome(redecide)
    assert (kind, second["tally"]["updated"]) == ("complete", 5)
    assert second["code"] != report["code"]
    assert {row["name"]["S"] for row in table.items()} == {"ULM", "1"}
