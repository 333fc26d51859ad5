"""What a job keeps in the ledger while it runs, on a real engine: states, keys behind, key lists."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime

import pytest

from activities.kept import MAX_PARTITIONS_BYTES, bounded
from activities.sources import fetched
from reindexer.errors import EnvironmentFault
from reindexer.ledger import Ledger
from reindexer.ledger.kept import BYTES_PER_LIST, KEYS_PER_LIST
from reindexer.models import (
    ClosingInput,
    Isolated,
    Kept,
    KeptKeys,
    OlderSegment,
    QuarantineEntry,
    ShardPlace,
    ShardState,
)
from reindexer.tally import Tally
from tests.driving import SEGMENT, UNLIMITED, target

LONGEST = 2048  # bytes of a partition key


@pytest.fixture
def ledger(each_ledger: Ledger) -> Ledger:
    return each_ledger


def kept(number: int = 1, index: int = 0, run: str = "r1") -> Kept:
    return Kept(job="job-a", run=run, index=index, number=number)


def key(number: int) -> dict[str, dict[str, str]]:
    return {"id": {"S": f"row-{number}"}}


def given_up(number: int) -> QuarantineEntry:
    return QuarantineEntry(
        job="job-a", run="r1", table_arn="arn", version=7, stamp="r1", key=key(number), error="E", message="",
        attempts=1, applied="no", at=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip


def test_a_state_comes_back_as_it_was_kept_however_large(ledger: Ledger) -> None:
    draw = random.Random(1)  # any seed
    names = [base64.b64encode(draw.randbytes(90)).decode() for _ in range(10_000)]
    large = ShardState(
        tally=Tally(scanned=7, updated=7),
        isolated=[Isolated(key={"id": {"B": "AAE="}}, message="ü")],
        partitions={name: Tally(scanned=1, updated=1) for name in names},
    )
    small = ShardState(done=True)
    ledger.kept.put_state(kept(1), large)
    ledger.kept.put_state(kept(1), large)  # repeated
    ledger.kept.put_state(kept(2), small)
    ledger.kept.put_state(kept(1, index=11), small)
    assert ledger.kept.state(kept(1)) == large
    assert ledger.kept.state(kept(2)) == small
    assert ledger.kept.state(kept(1, index=11)) == small


def test_a_missing_state_names_itself(ledger: Ledger) -> None:
    ledger.kept.put_state(kept(12), ShardState())
    for other in (kept(1), kept(12, index=1), kept(12, run="r2")):
        with pytest.raises(EnvironmentFault, match=f"no complete state {other.number} of shard") as fault:
            ledger.kept.state(other)
        assert fault.value.code == "StateMissing"


def test_a_key_that_is_found_behind_twice_is_kept_once(ledger: Ledger) -> None:
    ledger.kept.put_behind("job-a", "r1", [{"id": {"N": "1"}}, {"id": {"N": "2"}}])
    ledger.kept.put_behind("job-a", "r1", [{"id": {"N": "1.0"}}])
    count, [source] = ledger.kept.collect_behind("job-a", "r1", 10)
    assert (count, source.count) == (2, 2)
    assert len(ledger.kept.keys_of(source).keys) == 2
    assert ledger.kept.collect_behind("job-a", "r2", 10) == (0, [])


def test_lists_are_bounded_in_keys_and_the_same_when_they_are_made_again(ledger: Ledger) -> None:
    beats: list[None] = []
    ledger.kept.put_behind("job-a", "r1", [key(n) for n in range(1201)], heartbeat=lambda: beats.append(None))
    assert len(beats) > 5
    count, lists = ledger.kept.collect_behind("job-a", "r1", 1100, without=[key(7)])
    assert (count, [source.count for source in lists]) == (1201, [KEYS_PER_LIST, KEYS_PER_LIST, 100])
    found = [str(one) for source in lists for one in ledger.kept.keys_of(source).keys]
    assert len(set(found)) == 1100
    assert str(key(7)) not in found
    assert ledger.kept.collect_behind("job-a", "r1", 1100, without=[key(7)]) == (count, lists)


def test_lists_are_bounded_in_bytes(ledger: Ledger) -> None:
    long = [{"id": {"S": f"{number:04}".ljust(LONGEST, "x")}} for number in range(80)]
    ledger.kept.put_behind("job-a", "r1", long, partitions=[str(number).ljust(LONGEST) for number in range(80)])
    count, lists = ledger.kept.collect_behind("job-a", "r1", 10_000)
    made = [ledger.kept.keys_of(source) for source in lists]
    assert (count, sum(len(source.keys) for source in made)) == (80, 80)
    assert len(lists) > 1
    assert all(len(source.model_dump_json().encode()) <= BYTES_PER_LIST + 100 for source in made)
    for source in made:
        numbers = [int(one["id"]["S"][:4]) for one in source.keys]
        assert [int(partition) for partition in source.partitions] == numbers


def test_a_missing_list_names_itself(ledger: Ledger) -> None:
    with pytest.raises(EnvironmentFault, match="no key list 3 of job job-a, run r1") as fault:
        ledger.kept.keys_of(KeptKeys(job="job-a", run="r1", number=3, count=1))
    assert fault.value.code == "KeysMissing"


def test_what_the_run_has_given_up_is_fetched_for_the_sweep_of_a_replica(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.failures.add(given_up(number))
    ledger.failures.close("job-a", "r1", key(2), "discarded")
    sweep = OlderSegment(segment=0, total=1)
    place = ShardPlace(job="job-a", run="r1", index=0)
    closing = ClosingInput(target=target(), source=sweep, share=UNLIMITED, heartbeat_timeout=10.0, place=place)
    work = fetched(closing, ledger)
    assert isinstance(work, ClosingInput)
    assert isinstance(work.source, OlderSegment)
    assert sorted(one["id"]["S"] for one in work.source.given_up) == ["row-1", "row-2"]
    assert fetched(closing.model_copy(update={"source": SEGMENT}), ledger).source == SEGMENT  # type: ignore[union-attr]


def test_clearing_takes_what_this_run_kept_and_nothing_else(ledger: Ledger) -> None:
    entry = given_up(1)
    ledger.failures.add(entry)
    for run in ("r1", "r2"):
        ledger.kept.put_state(kept(run=run), ShardState(done=True))
        ledger.kept.put_behind("job-a", run, [key(number) for number in range(250)])
    _, lists = ledger.kept.collect_behind("job-a", "r1", 10_000)
    assert ledger.kept.clear("job-a", "r1") == 1 + 250 + len(lists)
    assert ledger.kept.clear("job-a", "r1") == 0
    assert ledger.kept.collect_behind("job-a", "r1", 10_000) == (0, [])
    assert ledger.kept.collect_behind("job-a", "r2", 10_000)[0] == 250
    assert ledger.kept.state(kept(run="r2")) == ShardState(done=True)
    assert ledger.failures.open("job-a", "r1") == [entry]


def test_sums_by_partition_fit_half_a_payload_and_the_total_is_over_all() -> None:
    draw = random.Random(1)  # any seed
    sums = {base64.b64encode(draw.randbytes(LONGEST)).decode(): Tally(scanned=1) for _ in range(2000)}
    bad = list(sums)[1500]
    sums[bad] = Tally(scanned=1, quarantined=1)
    found = bounded(sums)
    assert len(found.model_dump_json().encode()) <= MAX_PARTITIONS_BYTES
    assert bad in found.partitions
    assert 0 < len(found.partitions) == 2000 - found.left_out
    assert found.total == Tally(scanned=2000, quarantined=1)
    few = {"acme": Tally(scanned=3)}
    assert (bounded(few).partitions, bounded(few).left_out) == (few, 0)
