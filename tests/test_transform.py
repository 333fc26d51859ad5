"""A job's query and function over a table, through a whole round: outcomes, guards, deletions, failures."""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from reindexer.dynamo.table import TableClient
from reindexer.jobs.bounded import Bounded
from reindexer.models import RecordInput, Share, Stop
from reindexer.table_rounds import attempt_record
from reindexer.tally import Outcome, Tally
from tests.driving import FakeContext, Life, shard
from tests.model_table import ModelTable, Plan
from tests.written_jobs import WriteJob, aim, offer, write_job

SHOUT = """
    def transform(item, params):
        return Update(set={"name": item["name"].upper()})
"""
EXPIRE = """
    def query(params):
        return Attr("age").gt(10)

    def transform(item, params):
        return Delete() if item["age"] > 10 else Skip("young")
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteJob:
    def make(text: str) -> Any:
        made = write_job(tmp_path, text)
        offer(monkeypatch, made)
        return made

    return make


def table(rows: int, plans: Any = None, page_rows: int = 1000, **attributes: Any) -> ModelTable:
    items = [{"id": {"S": f"row-{number:05}"}, **attributes} for number in range(rows)]
    return ModelTable(items, plan=(plans or {}).get, page_rows=page_rows)


def test_only_what_changed_is_written_and_what_was_read_is_compared(job: WriteJob) -> None:
    model = table(3, name={"S": "ulm"}, other={"N": "1"})
    carried = shard(model, target=aim(job(SHOUT))).run()
    assert carried.tally == Tally(scanned=3, updated=3)
    assert {str(row["name"]) for row in model.rows.values()} == {"{'S': 'ULM'}"}


def test_a_transform_that_changes_nothing_writes_nothing(job: WriteJob) -> None:
    model = table(30, name={"S": "ULM"})
    assert shard(model, target=aim(job(SHOUT))).run().tally == Tally(scanned=30, filtered=30)
    assert model.batches == []


def test_a_record_that_another_writer_changes_in_between_is_transformed_again(job: WriteJob) -> None:
    """The read sees `ulm`; before the write lands someone makes it `bonn`."""
    model = table(1, {2: Plan()}, name={"S": "ulm"})
    identity = next(iter(model.rows))

    def plan(call: int) -> Plan | None:
        if call == 2:
            model.rows[identity] = {**model.rows[identity], "name": {"S": "bonn"}}
        return None

    model.plan = plan
    carried = shard(model, target=aim(job(SHOUT))).run()
    assert (carried.tally, carried.attempts.conflicts) == (Tally(scanned=1, updated=1), 1)
    assert model.rows[identity]["name"] == {"S": "BONN"}


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
def test_what_another_writer_makes_of_the_record_may_take_it_out_of_the_query(
    job: WriteJob, writer: str
) -> None:
    model = table(1, age={"N": "20"})
    identity = next(iter(model.rows))

    def plan(call: int) -> Plan | None:
        if call == 2:
            model.rows[identity] = {**model.rows[identity], "age": {"N": "1"}}
        return None

    model.plan = plan
    assert shard(model, target=aim(job(EXPIRE), writer=writer)).run().tally == Tally(scanned=1, filtered=1)
    assert "reindexRun" not in model.rows[identity]


@pytest.mark.parametrize(
    ("query", "seen", "other", "outcome"),
    [
        # What the function looks at, and nothing else names.
        ("None", "item['age']", {"age": {"N": "1"}}, Tally(scanned=1, updated=1)),
        # What the query names, though the function does not look at it.
        ("Attr('age').gt(10)", "True", {"age": {"N": "1"}}, Tally(scanned=1, filtered=1)),
        # What the function sets, though it does not look at it.
        ("None", "True", {"seen": {"S": "by somebody else"}}, Tally(scanned=1, updated=1)),
    ],
    ids=["looked at", "asked for", "set"],
)
def test_what_was_looked_at_asked_for_or_is_set_is_compared(
    job: WriteJob, query: str, seen: str, other: dict[str, Any], outcome: Tally
) -> None:
    model = table(1, age={"N": "20"})
    identity = next(iter(model.rows))

    def plan(call: int) -> Plan | None:
        if call == 2:
            model.rows[identity] = {**model.rows[identity], **other}
        return None

    model.plan = plan
    text = f"""
    def query(params): return {query}

    def transform(item, params): return Update(set={{"seen": {seen}}})
    """
    carried = shard(model, target=aim(job(text))).run()
    assert (carried.tally, carried.attempts.conflicts) == (outcome, 1)


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
def test_a_deletion_is_a_mark_and_then_the_delete(job: WriteJob, writer: str) -> None:
    model = table(60, age={"N": "20"}, page_rows=25)
    carried = shard(model, target=aim(job(EXPIRE), writer=writer)).run()
    assert carried.tally == Tally(scanned=60, deleted=60)
    assert model.rows == {}
    assert set(model.deleted.values()) == {1}


def test_a_record_changed_after_its_mark_is_decided_about_again(job: WriteJob) -> None:
    model = table(1, age={"N": "20"})
    identity = next(iter(model.rows))

    def plan(call: int) -> Plan | None:
        if call == 3:  # 1 reads, 2 marks, 3 deletes
            model.rows[identity] = {**model.rows[identity], "age": {"N": "1"}}
        return None

    model.plan = plan
    assert shard(model, target=aim(job(EXPIRE))).run().tally == Tally(scanned=1, updated=1)
    assert model.rows[identity]["age"] == {"N": "1"}


def test_a_record_created_again_after_its_mark_is_not_hit(job: WriteJob) -> None:
    model = table(1, age={"N": "20"})
    identity = next(iter(model.rows))

    def plan(call: int) -> Plan | None:
        if call == 3:
            model.rows[identity] = {"id": {"S": "row-00000"}, "age": {"N": "2"}}
        return None

    model.plan = plan
    assert shard(model, target=aim(job(EXPIRE))).run().tally == Tally(scanned=1, filtered=1)
    assert "age" in model.rows[identity]


@pytest.mark.parametrize("stop_at", range(2, 16))
def test_stopping_in_the_middle_of_deletions_loses_no_count(job: WriteJob, stop_at: int) -> None:
    model = table(90, age={"N": "20"}, page_rows=40)
    first = min(model.rows, key=model._order)
    model.failing[first] = "throttled"
    carried = shard(model, target=aim(job(EXPIRE)))
    carried.one_round(Life(stop_at=stop_at))
    model.failing.clear()
    assert carried.run().tally == Tally(scanned=90, deleted=90)
    assert model.rows == {}


def test_after_a_crash_marked_records_get_their_second_write(job: WriteJob) -> None:
    model = table(90, age={"N": "20"})
    carried = shard(model, target=aim(job(EXPIRE))).run([Life(kill_at=6, delivered_each=1000)])
    assert model.rows == {}
    assert carried.tally.balanced()
    assert carried.tally[Outcome.DELETED] <= 90


def test_rows_left_out_by_the_filter_do_not_hold_the_cursor_back(job: WriteJob) -> None:
    """A round whose pages were all empty goes on behind them, not from the beginning."""
    model = table(200, age={"N": "1"}, page_rows=10)
    model.filter = lambda item: item["age"] == {"N": "20"}
    carried = shard(model, target=aim(job(EXPIRE)), seconds=0.05)
    assert carried.run(most_rounds=40).tally == Tally()
    assert carried.rounds > 1


def test_each_failure_of_the_function_is_its_records_own(job: WriteJob) -> None:
    model = table(2, name={"S": "ulm"})
    bad = min(model.rows)
    del model.rows[bad]["name"]
    carried = shard(model, target=aim(job(SHOUT))).run()
    assert carried.tally == Tally(scanned=1 + len(carried.isolated), updated=1)
    [isolated] = carried.isolated
    assert (isolated.error, isolated.given_up, isolated.unknown) == ("KeyError", True, False)
    assert isolated.message == "'name' (job.py:4)"


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ('Update(set={"id": "b"})', "id: a key attribute cannot be changed"),
        ('Update(set={"reindexRun": "b"})', "the run's own attribute"),
        ('Update(set={"tags": set()})', "tags: an empty set"),
        ('Update(set={"tags": [{"at": 1.5}]})', r"tags[0].at: 1.5 is a float"),
        ('Update(set={"at": object})', "DynamoDB has no type for type"),
        ('Update(set={"n": 10**38 + 1})', "more than 38 digits"),
        ('Update(set={"x": "a" * 500_000})', "(400 KB)"),
        ('Update(set={"a": 1}, remove=["a"])', "set and removed"),
        ('Update(set={f"a{n}": 1 for n in range(200)})', "name a `lock` attribute"),
        ("None", "transform returned NoneType"),
        ('Update(remove="name")', "is a string"),
    ],
)
def test_what_dynamodb_would_refuse_is_named_before_it_is_sent(
    job: WriteJob, result: str, message: str
) -> None:
    model = table(1, name={"S": "ulm"})
    carried = shard(model, target=aim(job(f"def transform(item, params):\n    return {result}\n"))).run()
    assert message in carried.isolated[0].message
    assert model.batches == []


def test_a_lock_is_compared_and_counted_up_instead(job: WriteJob) -> None:
    text = SHOUT + '\n    lock = "edits"\n'
    model = table(1, name={"S": "ulm"}, edits={"N": "4"})
    assert shard(model, target=aim(job(text))).run().tally[Outcome.UPDATED] == 1
    [row] = model.rows.values()
    assert (row["edits"], row["name"]) == ({"N": "5"}, {"S": "ULM"})


def test_work_with_side_effects_is_stamped_record_by_record(job: WriteJob, tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = f"""
    def process(item, params):
        with open({str(log)!r}, "a") as file:
            file.write(item["id"] + "\\n")
    """
    model = table(40)
    carried = shard(model, target=aim(job(text))).run([Life(stop_at=9)])
    assert carried.tally == Tally(scanned=40, updated=40)
    assert sorted(log.read_text().split()) == [f"row-{number:05}" for number in range(40)]
    assert {len(batch) for batch in model.batches} == {1}


def test_paced_work_is_not_begun_before_its_token_and_waits_for_none_after_the_last(
    job: WriteJob, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    text = f"""
    def process(item, params):
        with open({str(log)!r}, "a") as file:
            file.write("x")
    """
    model = table(3)
    began, done = model.clock.now, []

    def plan(call: int) -> Plan | None:
        done.append(log.read_text() if log.exists() else "")
        return None

    model.plan = plan
    carried = shard(model, target=aim(job(text)), share=Share(records=0.5)).run()
    assert carried.tally == Tally(scanned=3, updated=3)
    assert done == ["", "x", "xx", "xxx"], "the read, then work and stamp by turns"
    assert model.clock.now - began < 6 + 1, "three tokens of 2 s each"


def test_a_function_that_hangs_is_given_up_after_its_time(job: WriteJob) -> None:
    text = """
    seconds = 0.3

    def transform(item, params):
        while item["id"] == "row-00001":
            pass
        return Update(set={"seen": True})
    """
    model = table(5)
    before = time.monotonic()
    carried = shard(model, target=aim(job(text))).run()
    assert carried.tally[Outcome.UPDATED] == 4
    [one] = carried.isolated
    assert (one.error, one.given_up) == ("TimeLimit", False), "it is tried alone first"
    assert time.monotonic() - before < 3

    calls = TableClient(model, "t")  # type: ignore[arg-type]
    redecide = RecordInput(target=carried.running.target, record=one)
    alone = attempt_record(redecide, calls, FakeContext(model.clock))
    assert (alone.outcome, alone.retry, alone.record.given_up) == (None, False, True)
    assert (alone.record.error, alone.record.attempts) == ("TimeLimit", 1)


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt"])
def test_a_function_that_ends_the_program_fails_its_record_alone(job: WriteJob, name: str) -> None:
    text = f"""
    def transform(item, params):
        if item["id"] == "row-00001":
            raise {name}("enough")
        return Update(set={{"seen": True}})
    """
    carried = shard(table(5), target=aim(job(text))).run()
    assert carried.tally[Outcome.UPDATED] == 4
    [one] = carried.isolated
    assert (one.error, one.given_up) == (name, True)


def test_a_function_that_took_too_long_once_is_done_alone(job: WriteJob, tmp_path: Path) -> None:
    text = f"""
    import pathlib, time
    seconds = 0.3

    def transform(item, params):
        if item["id"] == "row-00001" and not pathlib.Path({str(tmp_path / "seen")!r}).exists():
            pathlib.Path({str(tmp_path / "seen")!r}).touch()
            time.sleep(1)
        return Update(set={{"seen": True}})
    """
    model = table(3)
    carried = shard(model, target=aim(job(text))).run()
    [one] = carried.isolated
    calls = TableClient(model, "t")  # type: ignore[arg-type]
    redecide = RecordInput(target=carried.running.target, record=one)
    assert attempt_record(redecide, calls, FakeContext(model.clock)).outcome == "updated"


def test_time_in_which_other_code_holds_the_interpreter_does_not_count() -> None:
    held = ctypes.PyDLL(None)  # its calls do not let go of the interpreter, as a regular expression does not
    hog = threading.Thread(target=lambda: held.sleep(2))

    def function(number: int) -> int:
        if not number:
            hog.start()
        time.sleep(0.1)
        return number

    assert Bounded(function, 1.0).run([0, 1]) == [0, 1]
    hog.join()


def test_other_code_than_planned_with_is_a_fault_and_reads_nothing(job: WriteJob) -> None:
    from reindexer.models import RoundInput, Segment
    from reindexer.table_rounds import run_round

    model = table(3, name={"S": "ulm"})
    planned = aim(job(SHOUT))
    job(SHOUT + "\n    # changed\n")
    request = RoundInput(target=planned, source=Segment(segment=0, total=1))
    result = run_round(request, FakeContext(model.clock), TableClient(model, "t"))  # type: ignore[arg-type]
    assert result.stop is Stop.FAULT
    assert result.fault is not None
    assert result.fault.code == "CodeChanged"
    assert model.calls == 0
