"""A run of the root ends in time, and what it hands over fits a payload, whatever the job has met."""

from __future__ import annotations

import base64
import random
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio import workflow

from activities.kept import KeptActivities
from reindexer.connect import DATA_CONVERTER
from reindexer.models import (
    MAX_STATE_BYTES,
    Carried,
    Counts,
    HandBack,
    Isolated,
    KeptKeys,
    Looked,
    PartitionRange,
    PartitionRanges,
    Phase,
    RecordResult,
    Seen,
    Segment,
    ShardReport,
    ShardState,
    ShardSummary,
    Situation,
    Source,
    Verification,
)
from reindexer.models.folding import after_record
from reindexer.models.packed import packed, unpacked
from reindexer.models.plan import CycleBounds
from reindexer.tally import Attempts, Tally
from tests.run_by_hand import BEGAN, Run, a_job
from workflows.job.cycle import HandingOver, too_large
from workflows.job.looking import Looking
from workflows.job.shard import Shard
from workflows.job.shards import Shards

DRAW = random.Random(7)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run.by_hand(monkeypatch)


# ── Looking ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("age", "seconds"),
    [(0, 8), (60, 8), (480, 8), (600, 10), (3600, 60), (18_000, 300), (86_400, 300), (30 * 86_400, 300)],
)
def test_a_job_is_looked_at_more_seldom_as_it_grows_old(run: Run, age: int, seconds: float) -> None:
    job = a_job(run)
    run.now = BEGAN + timedelta(seconds=age)
    assert Looking(job, Shards(job)).seconds == pytest.approx(seconds)


def test_the_first_interval_is_a_setting(run: Run) -> None:
    job = a_job(run, look_seconds=0.5)
    run.now = BEGAN + timedelta(seconds=6)
    assert Looking(job, Shards(job)).seconds == 0.5
    run.now = BEGAN + timedelta(seconds=600)
    assert Looking(job, Shards(job)).seconds == 10


def test_the_age_is_the_jobs_and_not_its_runs(run: Run) -> None:
    job = a_job(run)
    job.started_at = BEGAN - timedelta(days=3)
    assert Looking(job, Shards(job)).seconds == 300


# ── When a run ends ────────────────────────────────────────────────────────────────────────────────────────

BOUNDS = CycleBounds(events=1000, signals=100, updates=50)
OLD = 64  # seconds: eight looks


@pytest.mark.parametrize(
    ("seen", "due"),
    [
        ({}, False),
        ({"events": 999}, False),
        ({"events": 1000}, True),
        ({"signals": 99}, False),
        ({"signals": 100}, True),
        ({"updates": 50}, True),
        ({"suggested": True}, True),  # a server may have lower limits than the setting
        ({"events": 5000, "bounds": CycleBounds(events=0)}, False),  # below the server's own suggestion
        ({"looked_at": 20_000}, True),
        ({"looked_at": 19_999}, False),
        # At half of the bounds where nothing runs anyway.
        ({"events": 500, "paused": True}, True),
        ({"signals": 50, "paused": True}, True),
        ({"updates": 25, "paused": True}, True),
        ({"events": 499, "signals": 49, "updates": 24, "paused": True}, False),
        ({"events": 500, "paused": True, "quiet": False}, False),
        # A young run goes on, up to the bounds that are the server's.
        ({"events": 5000, "signals": 1000, "updates": 400, "age": 63}, False),
        ({"events": 6001, "age": 1}, True),
        ({"signals": 1801, "age": 1}, True),
        ({"bytes": 6_500_001, "age": 1}, True),
        ({"bytes": 6_500_000}, False),
    ],
)
def test_when_a_run_hands_over(run: Run, seen: dict[str, Any], due: bool) -> None:
    job = a_job(run, cycle=seen.get("bounds", BOUNDS))
    run.now = BEGAN + timedelta(seconds=seen.get("age", OLD))
    run.events, run.bytes = seen.get("events", 10), seen.get("bytes", 1000)
    run.suggested = seen.get("suggested", False)
    job.signals, job.updates = seen.get("signals", 0), seen.get("updates", 0)
    job.looked_at = seen.get("looked_at", 0)
    job.gate.paused = seen.get("paused", False)
    quiet: Any = SimpleNamespace(quiet=seen.get("quiet", True))
    assert HandingOver(job, quiet)._due() is due


# ── What travels ───────────────────────────────────────────────────────────────────────────────────────────


def encoded(value: Any) -> int:
    """Bytes as Temporal gets them."""
    [payload] = DATA_CONVERTER.payload_converter.to_payloads([value])
    return len(payload.data)


def letters(count: int) -> str:
    """That no compression makes shorter than three quarters."""
    return base64.urlsafe_b64encode(DRAW.randbytes(count))[:count].decode()


def counts(most: int = 10**12) -> Counts:
    return Counts(
        tally=Tally(**{name: DRAW.randrange(most) for name in Tally().model_dump()}),
        attempts=Attempts(throttled=DRAW.randrange(10**9), ambiguous=DRAW.randrange(10**6)),
        isolated=100,
        read_units=DRAW.random() * 1e9,
        write_units=DRAW.random() * 1e9,
        checked=Verification(scanned=DRAW.randrange(10**12), behind=DRAW.randrange(10**9)),
    )


def failures() -> dict[str, int]:
    """As many classes, with names as long, as a shard counts apart."""
    return {letters(24): DRAW.randrange(10**9) for _ in range(20)} | {"others": 10**9}


def an_account(**more: Any) -> ShardSummary:
    return ShardSummary(counts=counts(), rounds=99_999, failures=failures(), doubt=True, **more)


def a_state() -> ShardState:
    """As large as one may travel: its cursor is."""
    known = an_account()
    state = ShardState(
        tally=known.counts.tally, attempts=known.counts.attempts, rounds=99_999, failures=known.failures,
        timed_out=True,
    )  # fmt: skip
    room = MAX_STATE_BYTES - len(state.model_copy(update={"cursor": {"id": {"S": ""}}}).model_dump_json())
    full = state.model_copy(update={"cursor": {"id": {"S": letters(room)}}})
    assert len(full.model_dump_json()) == MAX_STATE_BYTES
    return full


def a_record() -> Isolated:
    """With the longest key, class and message."""
    key = {"id": {"B": _binary(2048)}, "sort": {"B": _binary(1024)}}
    return Isolated(key=key, error=letters(100), message=letters(300), attempts=99, unknown=True)


def _binary(length: int) -> str:
    return base64.b64encode(DRAW.randbytes(length)).decode()


def shards_of(phase: Phase, count: int, source: Source, *, ended: bool) -> list[Shard]:
    known = [
        an_account() if phase in ("running", "sweeping") else ShardSummary(counts=counts(), rounds=999)
        for _ in range(count)
    ]
    return [
        Shard(
            n,
            phase,
            source,
            summary=summary,
            state=ShardState() if ended else a_state(),
            hand_backs=9,
            done=ended,
        )
        for n, summary in enumerate(known)
    ]


SEGMENT = Segment(segment=399, total=400)
LISTED = KeptKeys(job="j" * 960, run="0123456789", number=239, count=500)
#: Every phase at its largest: 400 shards, and a sweep of 10,000 keys of 3 KB each in 240 lists.
LARGEST: dict[str, list[tuple[Phase, int, Source, bool]]] = {
    "running": [("running", 400, SEGMENT, False)],
    "verifying": [("running", 400, SEGMENT, True), ("verifying", 400, SEGMENT, False)],
    "sweeping": [
        ("running", 400, SEGMENT, True), ("verifying", 400, SEGMENT, True), ("sweeping", 240, LISTED, False),
    ],
    "checking": [
        ("running", 400, SEGMENT, True), ("verifying", 400, SEGMENT, True), ("sweeping", 240, LISTED, True),
        ("checking", 240, LISTED, False),
    ],
}  # fmt: skip


def carried(run: Run, shards: list[Shard], **plan: Any) -> Carried:
    """After every bound on what a job keeps of its past was met."""
    job = a_job(run, warnings=[letters(500) for _ in range(20)], **plan)
    for number in range(300):
        limits = {"records_per_second": DRAW.random() * 1e6, "write_units_per_second": DRAW.random() * 1e6}
        job.note("set_limits", letters(9999), limits if number % 2 else None)
        job.warn(letters(9999))
    job.refuse_resume(letters(9999))
    every = Shards(job)
    every.all = shards
    every._keep_newest([a_record() for _ in range(100)])
    return HandingOver(job, every).carried(1e6)


@pytest.mark.parametrize("phase", LARGEST)
def test_what_a_run_hands_over_fits_a_payload(run: Run, phase: str) -> None:
    segments = [Segment(segment=number, total=400) for number in range(400)]
    shards = [
        shard
        for name, count, source, ended in LARGEST[phase]
        for shard in shards_of(name, count, source, ended=ended)
    ]
    over = carried(run, shards, sources=segments)
    assert too_large(over) == 0
    assert encoded(over) < 1_900_000
    assert len(over.run.controls) == 200
    assert over.run.controls_dropped == 101, "the refused resume is the 301st"


@pytest.mark.parametrize("length", [36, 100])
async def test_beside_a_large_plan_states_are_kept_in_the_ledger(
    run: Run, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """The names of ten thousand partitions are in the plan, a megabyte at most."""
    kept: dict[int, Any] = {}

    async def execute(activity: Any, request: Any, **_: Any) -> None:
        assert activity is KeptActivities.keep_state
        kept[request.kept.index] = request

    async def at_once(condition: Any) -> None:
        assert condition()

    monkeypatch.setattr(workflow, "execute_activity_method", execute)
    monkeypatch.setattr(workflow, "wait_condition", at_once)
    names = [letters(length) for _ in range(10_000)]
    sources: list[Source] = [
        PartitionRanges(ranges=[PartitionRange(value=name, rows=99_999) for name in names[n::400]])
        for n in range(400)
    ]
    job = a_job(run, sources=sources, warnings=[letters(500) for _ in range(20)])
    every = Shards(job)
    every.all = shards_of("running", 400, SEGMENT, ended=False)
    states = {shard.index: shard.state for shard in every.all}
    over = HandingOver(job, every)
    assert bool(too_large(over.carried(0.0))) == (length == 100)
    await over.make_room()
    assert too_large(over.carried(0.0)) == 0
    assert bool(kept) == (length == 100)
    for shard in every.all:
        if shard.index in kept:
            assert (shard.state, shard.kept, shard.hand_backs) == (None, kept[shard.index].kept, 10)
            assert kept[shard.index].state == states[shard.index]
        else:
            assert (shard.state, shard.kept) == (states[shard.index], None)


def test_what_was_handed_over_comes_back_as_it_was(run: Run) -> None:
    over = carried(run, shards_of("running", 30, SEGMENT, ended=False))
    [payload] = DATA_CONVERTER.payload_converter.to_payloads([over])
    assert DATA_CONVERTER.payload_converter.from_payloads([payload], [Carried]) == [over]


def test_what_a_shard_hands_back_and_signals_is_small(run: Run) -> None:
    state = a_state().model_copy(update={"quarantined": [a_record() for _ in range(50)]})
    newest = [a_record().model_copy(update={"key": {"id": {"S": letters(n)}}}) for n in range(50)]
    for known in (state.summary, state.model_copy(update={"quarantined": newest}).summary):
        assert encoded(HandBack(how="yielded", summary=known, state=a_state())) < 8192
        situation = Situation(state="parked", reason=letters(1200), summary=known)
        assert encoded(ShardReport(index=399, acknowledged=10**9, situation=situation)) < 8192


def test_a_shards_memo_stays_below_what_the_server_warns_of() -> None:
    """2,048 bytes; with the longest reason, and the most and longest error classes."""
    state = ShardState(tally=counts().tally, attempts=counts().attempts, rounds=99_999, read_units=1e9 / 3)
    for number in range(60):
        record = Isolated(key={"id": {"S": str(number)}}, error=f"{number:02}".ljust(100, "E"))
        state = state.model_copy(update={"isolated": [record]})
        state = after_record(state, RecordResult(outcome="quarantined", record=record))
    state = state.model_copy(update={"tally": counts().tally})
    for reason in (letters(1300), "\U0001f600" * 1300):
        situation = Situation(state="parked", reason=reason, scope="account", summary=state.summary)
        assert encoded(situation.brief) < 2048
        assert situation.brief.summary.newest == []


def test_a_look_at_four_hundred_shards_is_small() -> None:
    def one() -> Seen:
        done = DRAW.randrange(10**6)
        usual = Counts(
            tally=Tally(scanned=done, updated=done), read_units=done / 8, write_units=float(done),
            attempts=Attempts(throttled=DRAW.randrange(999)),
        )  # fmt: skip
        known = ShardSummary(counts=usual, rounds=DRAW.randrange(99))
        return Seen(situation=Situation(summary=known), running=usual)

    looked = Looked(at=BEGAN, shards={index: one() for index in range(400)})
    assert encoded(looked) < 40_000
    worst = Looked(
        at=BEGAN,
        shards={
            index: Seen(situation=Situation(reason=letters(1200), summary=an_account()).brief, running=counts())
            for index in range(400)
        },
    )
    assert encoded(worst) < 700_000, "a third of a payload, as a query's argument, too"
    assert Looked.model_validate_json(worst.model_dump_json()) == worst


nested = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(nested.filter(lambda value: not isinstance(value, str)), st.integers(0, 9000))
def test_what_is_packed_is_unpacked_the_same(value: Any, more: int) -> None:
    whole = [value, "x" * more]
    assert unpacked(packed(whole)) == whole


def test_what_people_can_read_stays_readable() -> None:
    assert packed({"a": [1, 2]}) == {"a": [1, 2]}
    assert isinstance(packed(["x" * 9000]), str)
