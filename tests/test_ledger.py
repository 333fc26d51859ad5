"""The ledger on a real engine: locks, versions, reports, quarantine."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reindexer.errors import EnvironmentFault, Refused, Unavailable
from reindexer.ledger import Ledger, ledger_client
from reindexer.ledger.failures import GIVEN_UP_AGAIN
from reindexer.models import ControlEvent, LockInput, QuarantineEntry, Report
from reindexer.tally import Attempts, Tally

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/cities"
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def ledger(each_dynamodb: Any) -> Iterator[Ledger]:
    ledger = Ledger(f"ledger-{uuid.uuid4().hex[:8]}")
    assert ledger.store.create()
    yield ledger
    each_dynamodb.delete_table(TableName=ledger.table)


def lock(workflow: str = "job-a", run_id: str = "id-1", run: str = "r1") -> LockInput:
    return LockInput(
        table_arn=ARN,
        version_attribute="reindexVersion",
        workflow_id=workflow,
        run_id=run_id,
        namespace="default",
        run=run,
    )


def report(job: str = "job-a", run: str = "r1", minutes: int = 0, **changes: Any) -> Report:
    fields: dict[str, Any] = {
        "job": job,
        "run": run,
        "table": "cities",
        "table_arn": ARN,
        "operation": {"kind": "touch", "version": 7},
        "version": 7,
        "tally": Tally(scanned=3, updated=3),
        "attempts": Attempts(),
        "balanced": True,
        "verification": None,
        "shards": 4,
        "warnings": [],
        "controls": [],
        "started_at": START + timedelta(minutes=minutes),
        "seconds": 1.5,
        "state": "complete",
        "writer": "partiql",
        "consumed": {},
    }
    return Report(**(fields | changes))


def entry(number: int, error: str = "ValidationError", **changes: Any) -> QuarantineEntry:
    fields: dict[str, Any] = {
        "job": "job-a",
        "run": "r1",
        "table_arn": ARN,
        "version": 7,
        "stamp": "r1",
        "key": {"id": {"N": str(number)}},
        "error": error,
        "message": "no",
        "attempts": 5,
        "applied": "no",
        "at": START,
    }
    return QuarantineEntry(**(fields | changes))


def test_a_missing_ledger_names_the_command_that_makes_it(each_dynamodb: Any) -> None:
    ledger = Ledger("no-such-ledger")
    with pytest.raises(Refused, match="`reindexer setup`") as refused:
        ledger.store.check()
    assert refused.value.kind == "LedgerMissing"


def test_making_it_twice_is_harmless(ledger: Ledger) -> None:
    assert not ledger.store.create()
    ledger.store.check()


def test_an_epoch_is_one_runs_and_above_all_before_it(ledger: Ledger) -> None:
    """Two jobs that were planned at once write to one destination by one order, or one of them not at all."""
    ledger.epochs.take("search-a", 7, "r1")
    ledger.epochs.take("search-a", 7, "r1")  # as an activity that is repeated
    for epoch, run in ((7, "r2"), (6, "r2"), (6, "r1")):
        with pytest.raises(Refused, match="start it again"):
            ledger.epochs.take("search-a", epoch, run)
    ledger.epochs.take("search-a", 8, "r2")
    ledger.epochs.take("search-b", 7, "r2")
    assert (ledger.epochs.last("search-a"), ledger.epochs.last("search-b")) == (8, 7)


def test_a_lock_has_one_holder_until_it_is_released(ledger: Ledger) -> None:
    assert ledger.locks.take(lock()) is None
    assert ledger.locks.take(lock()) is None, "the same workflow may ask again"
    holder = ledger.locks.take(lock("job-b", "id-2", "r2"))
    assert holder is not None
    assert (holder.workflow_id, holder.run_id, holder.run) == ("job-a", "id-1", "r1")
    ledger.locks.release(lock("job-b", "id-2", "r2"))
    assert ledger.locks.holder(ARN, holder.attribute) == holder, "only the holder releases"
    ledger.locks.release(lock())
    ledger.locks.release(lock())
    assert ledger.locks.holder(ARN, "reindexVersion") is None
    assert ledger.locks.take(lock("job-b", "id-2", "r2")) is None
    assert ledger.runs.last("job-b") == "r2"


def test_a_lock_is_taken_over_only_from_the_holder_that_was_asked_about(ledger: Ledger) -> None:
    ledger.locks.take(lock())
    old = ledger.locks.holder(ARN, "reindexVersion")
    assert old is not None
    second, third = lock("job-b", "id-2", "r2"), lock("job-c", "id-3", "r3")
    assert ledger.locks.replace(second, old)
    assert ledger.locks.replace(second, old), "repeated, it meets its own success"
    assert not ledger.locks.replace(third, old)
    now = ledger.locks.holder(ARN, "reindexVersion")
    assert now is not None
    assert now.workflow_id == "job-b"


def of(version: str, run: str, workflow: str = "job-b", run_id: str = "id-2") -> LockInput:
    return lock(workflow, run_id).model_copy(update={"version_attribute": version, "run_attribute": run})


def test_jobs_that_share_no_attribute_have_locks_of_their_own(ledger: Ledger) -> None:
    assert ledger.locks.take(lock()) is None
    assert ledger.locks.take(of("other", "otherRun")) is None


@pytest.mark.parametrize(
    ("version", "run", "shared"),
    [
        ("other", "reindexRun", "reindexRun"),
        ("aaa", "reindexRun", "reindexRun"),
        ("zzz", "reindexRun", "reindexRun"),
        ("reindexVersion", "aaa", "reindexVersion"),
        ("reindexVersion", "zzz", "reindexVersion"),
        ("reindexRun", "zzz", "reindexRun"),  # one's version is the other's stamp
        ("zzz", "reindexVersion", "reindexVersion"),
    ],
)
def test_jobs_that_share_one_attribute_exclude_each_other_and_leave_nothing_behind(
    ledger: Ledger, version: str, run: str, shared: str
) -> None:
    assert ledger.locks.take(lock()) is None
    holder = ledger.locks.take(of(version, run))
    assert holder is not None
    assert (holder.workflow_id, holder.attribute) == ("job-a", shared)
    for name in {version, run} - {"reindexVersion", "reindexRun"}:
        assert ledger.locks.holder(ARN, name) is None, "a part of a lock that was refused"
    ledger.locks.release(of(version, run))
    for name in ("reindexVersion", "reindexRun"):
        found = ledger.locks.holder(ARN, name)
        assert found is not None
        assert found.workflow_id == "job-a"
    ledger.locks.release(lock())
    assert ledger.locks.take(of(version, run)) is None
    ledger.locks.release(of(version, run))
    assert ledger.locks.holder(ARN, version) is None
    assert ledger.locks.holder(ARN, run) is None


def test_a_refused_lock_keeps_the_part_that_it_held_before(ledger: Ledger) -> None:
    """As a first attempt that was lost leaves it: the retry must not be without it."""
    mine = of("aaa", "reindexRun")
    assert ledger.locks.take(of("aaa", "bbb")) is None
    assert ledger.locks.take(lock()) is None
    assert ledger.locks.take(mine) is not None
    held = ledger.locks.holder(ARN, "aaa")
    assert held is not None
    assert held.workflow_id == "job-b"


def test_a_take_over_has_both_parts(ledger: Ledger) -> None:
    ledger.locks.take(lock())
    old = ledger.locks.holder(ARN, "reindexRun")
    assert old is not None
    assert ledger.locks.replace(lock("job-b", "id-2", "r2"), old)
    for name in ("reindexVersion", "reindexRun"):
        now = ledger.locks.holder(ARN, name)
        assert now is not None
        assert now.workflow_id == "job-b"


def test_a_take_over_leaves_what_another_job_holds(ledger: Ledger) -> None:
    ledger.locks.take(of("reindexVersion", "aaa", "job-a", "id-1"))
    ledger.locks.take(of("zzz", "reindexRun", "job-c", "id-3"))
    old = ledger.locks.holder(ARN, "reindexVersion")
    assert old is not None
    assert ledger.locks.replace(lock("job-b", "id-2", "r2"), old)
    other = ledger.locks.holder(ARN, "reindexRun")
    assert other is not None
    assert other.workflow_id == "job-c"
    assert ledger.locks.take(lock("job-b", "id-2", "r2")) == other


def test_the_highest_version_is_kept(ledger: Ledger) -> None:
    assert ledger.versions.highest(ARN, "reindexVersion") is None
    for version in (7, 9, 8, 9_007_199_254_740_991, 10):
        ledger.versions.record(ARN, "reindexVersion", version)
    assert ledger.versions.highest(ARN, "reindexVersion") == 9_007_199_254_740_991
    assert ledger.versions.highest(ARN, "other") is None


def test_reports_are_found_by_job_by_run_and_newest_first(ledger: Ledger) -> None:
    assert ledger.reports.find("job-a") is None
    for minutes, run in enumerate(("r1", "r2", "r3")):
        ledger.reports.put(report(run=run, minutes=minutes))
    ledger.reports.put(report(job="job-b", run="r4", minutes=9))
    ledger.reports.put(report(run="r1", minutes=0))  # repeated
    assert ledger.reports.find("job-a") == report(run="r3", minutes=2)
    assert ledger.reports.find("job-a", "r1") == report(run="r1")
    assert ledger.reports.find("job-a", "r9") is None
    assert [found.run for found in ledger.reports.newest("job-a")] == ["r3", "r2", "r1"]
    assert [found.run for found in ledger.reports.newest(limit=3)] == ["r4", "r3", "r2"]
    assert ledger.runs.last("job-a") == "r3"
    assert ledger.runs.last("job-x") is None


def test_an_interim_report_gives_way_to_newer_ones_and_never_replaces_the_final(ledger: Ledger) -> None:
    def interim(scanned: int, seconds: int) -> Report:
        as_of = START + timedelta(seconds=seconds)
        return report(state="running", tally=Tally(scanned=scanned), seconds=seconds, as_of=as_of)

    ledger.reports.put(interim(10, 5))
    ledger.reports.put(interim(20, 9))
    ledger.reports.put(interim(20, 9))  # a retry
    ledger.reports.put(interim(10, 5))  # a late one
    assert ledger.reports.find("job-a") == interim(20, 9)
    assert ledger.runs.last("job-a") == "r1"
    ledger.reports.put(report())
    ledger.reports.put(interim(30, 12))
    assert ledger.reports.find("job-a") == ledger.reports.find("job-a", "r1") == report()
    assert [found.state for found in ledger.reports.newest()] == ["complete"]
    later = report(run="r2", minutes=1, state="running", as_of=START + timedelta(minutes=2))
    ledger.reports.put(later)
    assert ledger.reports.find("job-a") == later, "of another run"


def test_a_huge_report_is_shortened_and_says_so(ledger: Ledger) -> None:
    events = [ControlEvent(at=START, what="pause", reason="ü" * 5000)] * 400
    huge = report(
        warnings=["w" * 4000] * 300, controls=events, operation={"kind": "transform", "params": "p" * 500_000}
    )
    ledger.reports.put(huge)
    found = ledger.reports.find("job-a")
    assert found is not None
    assert found.tally == huge.tally
    assert "200 warnings and 300 control events left out" in found.warnings[0]
    assert found.operation["kind"] == "transform"


def test_ten_thousand_partitions_are_kept_whole(ledger: Ledger) -> None:
    """In several items, where their names are long and at random; each try's apart from the others'."""
    draw = random.Random(1)  # any seed
    names = [base64.b64encode(draw.randbytes(90)).decode() for _ in range(10_000)]
    first = report(partitions={name: Tally(scanned=number) for number, name in enumerate(names)})
    ledger.reports.put(first)
    assert ledger.reports.find("job-a") == first
    redecide = report(
        partitions={name: Tally(scanned=1, quarantined=1) for name in names[:5000]}, state="incomplete"
    )
    ledger.reports.put(redecide)
    assert ledger.reports.find("job-a") == redecide
    assert ledger.reports.newest("job-a") == [redecide.model_copy(update={"partitions": {}})]
    ledger.reports.put(report(minutes=1, run="r2"))
    assert ledger.reports.find("job-a") == report(minutes=1, run="r2")
    assert ledger.reports.find("job-a", "r1") == redecide


def test_a_quarantined_record_is_one_entry_however_its_key_is_written(ledger: Ledger) -> None:
    ledger.failures.add(entry(1))
    ledger.failures.add(entry(1, key={"id": {"N": "1.0"}}))
    ledger.failures.add(entry(2, error="VersionType"))
    ledger.failures.add(entry(10**37 + 1))
    ledger.failures.add(entry(10**37 + 2))
    page = ledger.failures.page("job-a", "r1")
    assert page.counts == {"ValidationError": 3, "VersionType": 1}
    assert len(page.entries) == 4
    assert ledger.failures.page("job-a", "r2").counts == {}


def test_failures_come_in_pages_with_counts_of_all(ledger: Ledger) -> None:
    for number in range(25):
        ledger.failures.add(entry(number, error="Odd" if number % 5 == 0 else "Even"))
    seen: list[str] = []
    after = None
    while True:
        page = ledger.failures.page("job-a", "r1", error="Even", limit=7, after=after)
        assert page.counts == {"Odd": 5, "Even": 20}
        seen += [found.key["id"]["N"] for found in page.entries]
        after = page.after
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 20
    assert len(ledger.failures.open("job-a", "r1")) == 25


def test_what_an_earlier_epoch_gave_up_is_dropped_and_what_the_last_did_stays(ledger: Ledger) -> None:
    for number, version in ((1, 7), (2, 8), (3, 7)):
        ledger.failures.add(entry(number, version=version))
    assert ledger.failures.drop_before("job-a", "r1", 8) == 2
    assert [found.version for found in ledger.failures.open("job-a", "r1")] == [8]
    ledger.failures.add(entry(1, version=8))
    assert len(ledger.failures.open("job-a", "r1")) == 2, "given up again, it is listed again"


def test_a_closed_failure_stays_closed(ledger: Ledger) -> None:
    ledger.failures.add(entry(1))
    ledger.failures.add(entry(2))
    ledger.failures.close("job-a", "r1", {"id": {"N": "1.0"}}, "redriven")
    ledger.failures.close("job-a", "r1", {"id": {"N": "2"}}, "discarded", "not wanted")
    ledger.failures.close("job-a", "r1", {"id": {"N": "2"}}, "redriven", "too late")
    ledger.failures.close("job-a", "r1", {"id": {"N": "9"}}, "redriven")  # never was one
    ledger.failures.add(entry(1))  # a late repetition of the activity
    assert ledger.failures.page("job-a", "r1").entries == []
    discarded = ledger.failures.page("job-a", "r1", state="discarded").entries
    assert [found.reason for found in discarded] == ["not wanted"]
    assert len(ledger.failures.page("job-a", "r1", state="redriven").entries) == 1
    assert (ledger.failures.count("job-a", "r1"), ledger.failures.left("job-a", "r1")) == (2, 1)
    assert ledger.failures.count("job-a", "r2") == 0


def test_a_failure_that_a_redrive_gave_up_again_names_the_redrive_and_is_left(ledger: Ledger) -> None:
    by = "run r2 of job a of mine"
    for number, reason in ((1, f"by {by}"), (2, GIVEN_UP_AGAIN + by), (3, GIVEN_UP_AGAIN + by), (4, None)):
        ledger.failures.add(entry(number))
        assert ledger.failures.left("job-a", "r1") == max(1, number - 1), "the others and it"
        ledger.failures.close("job-a", "r1", {"id": {"N": str(number)}}, "redriven", reason)
        ledger.failures.add(entry(number, job="a of mine", run="r2"))
    assert ledger.failures.given_up_again("job-a", "r1") == [("a of mine", "r2")]
    assert ledger.failures.given_up_again("job-a", "r2") == []
    ledger.failures.close("a of mine", "r2", {"id": {"N": "2"}}, "redriven", "by run r3 of job b")
    assert ledger.failures.left("job-a", "r1") == 1
    assert list(ledger.failures.still_open("job-a", "r1").values()) == ["a of mine"]
    ledger.failures.close("a of mine", "r2", {"id": {"N": "3"}}, "discarded")
    assert (ledger.failures.left("job-a", "r1"), ledger.failures.still_open("job-a", "r1")) == (1, {})


def test_a_later_change_of_a_record_that_was_redriven_is_listed(ledger: Ledger) -> None:
    ledger.failures.add(entry(1))  # a row of the scan
    ledger.failures.close("job-a", "r1", {"id": {"N": "1"}}, "redriven", order=50)
    for order in (90, 60):
        ledger.failures.add(entry(1, order=order))
        assert [found.order for found in ledger.failures.open("job-a", "r1")] == [90]
    for order, left in ((60, 1), (90, 0)):  # the first redrive began before it was given up
        ledger.failures.close("job-a", "r1", {"id": {"N": "1"}}, "redriven", order=order)
        assert ledger.failures.left("job-a", "r1") == left
    ledger.failures.add(entry(1, order=90))  # a late repetition
    assert ledger.failures.open("job-a", "r1") == []


class _Failing:
    """A client whose every call fails in one way."""

    def __init__(self, code: str, status: int = 400) -> None:
        response: Any = {
            "Error": {"Code": code, "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        self._error = ClientError(response, "PutItem")

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> Any:
            raise self._error

        return call


def test_a_denied_write_is_a_fault_and_a_busy_ledger_may_be_tried_again() -> None:
    denied: Any = _Failing("AccessDeniedException")
    with pytest.raises(EnvironmentFault) as fault:
        Ledger("ledger", denied).store.check()
    assert fault.value.code == "LedgerNotWritable"
    busy: Any = _Failing("ThrottlingException")
    with pytest.raises(Unavailable) as unavailable:
        Ledger("ledger", busy).store.check()
    assert unavailable.value.retryable


def test_the_ledgers_own_client_retries(dynamodb: Any) -> None:
    config: Any = ledger_client().meta.config  # botocore sets a Config's fields dynamically
    assert config.retries["total_max_attempts"] > 1
