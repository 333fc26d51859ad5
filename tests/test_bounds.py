"""What a round and its shard send stays far below a payload's bound, with the longest keys DynamoDB takes."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from reindexer.checks.dry_run import dry_run
from reindexer.connect import DATA_CONVERTER
from reindexer.dynamo.table import TableClient
from reindexer.errors import cut, named_failure, one_line
from reindexer.items import key_bytes, text_bytes, to_json_key
from reindexer.models import (
    DryRunInput,
    Fault,
    Isolated,
    KeyAttribute,
    KeyList,
    PartitionRange,
    PartitionRanges,
    PartitionScope,
    Progress,
    QuarantineEntry,
    Segment,
    ShardState,
    Share,
    Stop,
)
from reindexer.partitions.tallies import MAX_PARTITIONS, PartitionTallies
from reindexer.rounds.checkpoint import MAX_ISOLATED, MAX_ISOLATED_BYTES, MAX_UNSETTLED_BYTES
from reindexer.rounds.pending_write import Patience
from reindexer.tally import Outcome, Tally
from tests.driving import SEGMENT, FakeContext, Life, Shard, shard, target
from tests.model_table import ModelTable
from tests.test_totals_properties import PartitionedTable
from tests.written_jobs import aim, offer, write_job

MAX = 1_500_000  # bytes: three quarters of what a payload may hold
MAX_INPUT = 1_500_000
ROWS = 400  # of 4 kB keys: 1.7 MB, more than any payload may name
IMPATIENT = Patience(split_after=1, isolate_after=2)

#: Keys of 2,048 + 1,024 bytes by kind. In JSON base64 adds a third, and an escaped letter five bytes.
LONGEST: dict[str, Callable[[int], dict[str, Any]]] = {
    "binary": lambda n: {"id": {"B": _bytes(n, 2048)}, "sort": {"B": _bytes(n, 1024)}},
    "letters": lambda n: {"id": {"S": f"{n:04}" + "é" * 1022}, "sort": {"S": "z" * 1024}},
    "escapes": lambda n: {"id": {"S": f"{n:04}" + "\x01" * 2044}, "sort": {"S": "\x02" * 1024}},
}  # fmt: skip


def _bytes(number: int, length: int) -> bytes:
    return random.Random(number).randbytes(length)


def encoded(value: Any) -> int:
    """Bytes as Temporal gets them."""
    [payload] = DATA_CONVERTER.payload_converter.to_payloads([value])
    return len(payload.data)


def carried(table: ModelTable, **request: Any) -> Shard:
    """Rounds stopped again and again while nothing answers, each heartbeat and each input measured."""
    seen: list[Progress] = []
    made = shard(table, IMPATIENT, **request)
    made.check = lambda _shard, progress: seen.append(progress)
    for stop_at in (40, 8, 25, 60, 3, 90):
        made.one_round(Life(stop_at=stop_at))
        assert encoded(made.request) < MAX_INPUT
        assert made.last is not None
        assert encoded(made.last) < MAX
    assert max(map(encoded, seen)) < MAX
    return made


def _long(table: list[dict[str, Any]], faults: Callable[[int], str | None], kind: Any = ModelTable) -> Any:
    model = kind(table, ("id", "sort"))
    for number, identity in enumerate(sorted(model.first, key=str)):
        if fault := faults(number):
            model.failing[identity] = fault
    return model


@pytest.mark.parametrize("keys", LONGEST)
@pytest.mark.parametrize(
    "faults",
    [lambda _: "500 after", lambda _: "500 late", lambda n: None if n % 3 else "500 before"],
    ids=["after", "late", "some"],
)
def test_a_round_in_which_no_write_is_answered(keys: str, faults: Callable[[int], str | None]) -> None:
    rows = [LONGEST[keys](number) for number in range(ROWS)]
    kind = "B" if keys == "binary" else "S"
    aimed = target(key=[KeyAttribute(name="id", type=kind), KeyAttribute(name="sort", type=kind)])
    made = carried(_long(rows, faults), target=aimed)
    assert made.isolated or made.request.unconfirmed


@pytest.mark.parametrize("keys", LONGEST)
def test_a_round_whose_deletions_are_not_answered(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    job = write_job(tmp_path, "def transform(item, params):\n    return Delete()\n", "weed")
    offer(monkeypatch, job)
    rows = [LONGEST[keys](number) for number in range(ROWS)]
    kind = "B" if keys == "binary" else "S"
    key = [KeyAttribute(name="id", type=kind), KeyAttribute(name="sort", type=kind)]
    source = KeyList(
        keys=[to_json_key(row) for row in rows[:30]], partitions=[f"{n}".ljust(2700, "p") for n in range(30)]
    )
    made = carried(
        _long(rows, lambda n: "500 before" if n % 2 else None), target=aim(job, key=key), source=source
    )
    assert made.tally[Outcome.DELETED] or any(one.deletion for one in made.request.unconfirmed)


def test_a_round_over_many_partitions_with_the_longest_names() -> None:
    rows = [LONGEST["letters"](number) for number in range(ROWS)]
    key = [KeyAttribute(name="id", type="S"), KeyAttribute(name="sort", type="S")]
    source = PartitionRanges(ranges=[PartitionRange(value=row["id"]["S"]) for row in rows])
    aimed = target(key=key, within=PartitionScope(partition=key[0], sort=key[1]))
    model = _long(rows, lambda n: "500 after" if n % 7 == 0 else None, PartitionedTable)
    made = carried(model, target=aimed, source=source)
    made.run()
    assert len(made.partitions) == ROWS


def test_partitions_are_handed_back_before_they_are_too_many_bytes() -> None:
    parts, number = PartitionTallies(), 0
    while not parts.many:
        number += 1
        parts.turn_to(f"{number}".ljust(2731, "A"), lambda n=number: Tally(scanned=n))  # type: ignore[misc]
    assert 50 < number < MAX_PARTITIONS
    assert encoded(Progress(partitions=parts.upto(Tally(scanned=number)))) < 300_000
    short, number = PartitionTallies(), 0
    while not short.many:
        number += 1
        short.turn_to(f"{number:036}", lambda n=number: Tally(scanned=n))  # type: ignore[misc]
    assert number > MAX_PARTITIONS, "ordinary names are bounded by their number alone"


def test_the_bound_leaves_ordinary_keys_alone() -> None:
    """A hundred records in trouble, and a batch: their number bounds them, not their bytes."""
    most = Patience().in_trouble + 25
    assert most * key_bytes({"id": {"S": "x" * 100}}) < MAX_UNSETTLED_BYTES
    assert (
        most * key_bytes({"id": {"S": "x" * 100}, "sort": {"S": "2026-11-21T12:00:00Z"}}) < MAX_UNSETTLED_BYTES
    )
    assert MAX_ISOLATED * 2 * key_bytes({"id": {"S": "x" * 100}}) < MAX_ISOLATED_BYTES


def test_sizes_of_keys_are_never_too_small() -> None:
    keys = [made(7) for made in LONGEST.values()]
    keys += [
        {"id": {"S": "short"}},
        {"a": {"N": "12.5"}, "b": {"B": b"\x00"}},
        {'"quoted"\\': {"S": "\n" * 99}},
    ]
    for key in keys:
        assert encoded(to_json_key(key)) <= key_bytes(key)
    assert key_bytes(LONGEST["binary"](1)) < 4300
    for text in ("", "a", "ü" * 50, "\x01" * 100, "\U0001f600" * 2000, '"' * 300):
        assert encoded(text) <= text_bytes(text)


def test_texts_of_errors_are_cut_in_bytes() -> None:
    long: Any = type("Ü" * 200, (Exception,), {})
    for text in ("ü" * 400, "\U0001f600" * 100, "a" * 300, "\x01" * 400, "\ud800" * 400, "a" * 5000):
        assert len(cut(text).encode()) <= 300
        assert encoded(cut(text)) <= 302
    assert cut("short") == "short"
    assert one_line(ValueError("a\n b")) == "a b"
    code, message = named_failure(long("ü" * 5000))
    assert (len(code.encode()), len(message.encode())) == (99, 299)
    isolated = Isolated(key={"id": {"S": "a"}}, error=code * 9, message="m" * 9999)
    assert encoded(isolated) < 700
    assert encoded(Fault(code="x" * 1000, message="m" * 9999)) < 1200


@pytest.mark.parametrize("keys", LONGEST)
def test_what_is_kept_of_a_record_that_is_given_up_fits_an_item(keys: str) -> None:
    record = Isolated(key=to_json_key(LONGEST[keys](1)), error="E" * 500, message="m" * 5000)
    entry = QuarantineEntry(
        job="j" * 900, run="r1", table_arn="a" * 1024, version=7, stamp="r1", key=record.key,
        error=record.error, message=record.message, attempts=5, applied="no", reason="x" * 1000,
        at=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip
    assert encoded(entry) < 30_000


def test_a_shards_account_is_small_whatever_its_state() -> None:
    records = [
        Isolated(key={"id": {"B": base64.b64encode(_bytes(n, 2048)).decode()}}, error="E", message="m" * 300)
        for n in range(100)
    ]
    state = ShardState(tally=Tally(scanned=100, quarantined=100), failures={"E": 100}, quarantined=records)
    assert encoded(state.summary) < 5000


def test_what_a_dry_run_shows_is_bounded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many attributes change, however long they are, and whatever the job's function raises."""
    text = """
        lock = "lock"  # else no write could be guarded by all it reads

        def transform(item, params):
            if item["sort"].endswith("!"):
                raise type(f"E{item['sort'][:4]}" + "x" * 200, (Exception,), {})("m" * 5000)
            return Update(set={name: value + "é" * 200 for name, value in item.items() if name.startswith("a")})
    """
    offer(monkeypatch, job := write_job(tmp_path, text, "grow"))
    many = {f"a{n}": {"S": "x" * 300} for n in range(80)}
    rows = [{**LONGEST["escapes"](n), **many} for n in range(80)]
    rows += [{"id": {"S": f"{n}"}, "sort": {"S": f"{n:04}!"}} for n in range(150)]
    key = [KeyAttribute(name="id", type="S"), KeyAttribute(name="sort", type="S")]
    request = DryRunInput(target=aim(job, key=key), source=SEGMENT, limit=1000, pairs=80)
    model = ModelTable(rows, ("id", "sort"))
    found = dry_run(request, TableClient(model, "t"), FakeContext(model.clock))  # type: ignore[arg-type]
    assert found.tally == Tally(scanned=230, updated=80, quarantined=150)
    assert (len(found.failures), sum(found.failures.values()), found.failures["Others"]) == (101, 150, 50)
    assert 0 < len(found.pairs) < 80
    assert found.pairs[0].changes[-1].name == "and 31 attributes more"
    assert encoded(found) < 700_000


def test_a_defect_hands_back_what_was_reached_and_what_it_had_sent() -> None:
    model = ModelTable([{"id": {"S": f"row-{number:03}"}} for number in range(100)], page_rows=50)
    real = model.batch_execute_statement

    def broken(**request: Any) -> Any:
        answer = real(**request)
        if len(model.batches) == 3:
            raise KeyError("what no one expected")
        return answer

    model.batch_execute_statement = broken  # type: ignore[method-assign]
    made = shard(model, source=Segment(segment=0, total=1), share=Share())
    made.defects = True
    made.one_round(Life())
    assert made.last is not None
    assert (made.last.stop, made.last.fault and made.last.fault.code) == (Stop.FAILED, "KeyError")
    assert made.tally == Tally(scanned=50, updated=50)
    assert (len(made.request.unconfirmed), made.request.ahead) == (25, 25)
    assert made.run().tally == Tally(scanned=100, updated=100)
    assert made.attempts.ambiguous == 25
