"""Totals by partition: how they travel, how a round and a job come by them, what other jobs pay."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import (
    Isolated,
    Kept,
    KeyList,
    PartitionsDone,
    PartitionsInput,
    PartitionTotals,
    Progress,
    ReportInput,
    ShardState,
    Stop,
)
from reindexer.models.by_partition import brief, pack, ranked, unpack
from reindexer.partitions import tallies as tallies_of_rounds
from reindexer.partitions.tallies import PartitionTallies
from reindexer.tally import Outcome, Tally, plus_each
from tests.driving import shard
from tests.model_table import ModelTable
from tests.reports import a_report
from workflows.job.partition_totals import (
    PartitionProgress,
    as_result,
    few,
    known,
    of_shards,
    unknown,
    with_quarantined,
)
from workflows.job.shard import Shard

PAYLOAD = 2 * 1024 * 1024  # bytes; more than that Temporal refuses
names = st.text(max_size=20)
tallies = st.builds(Tally, **dict.fromkeys(Tally().model_dump(), st.integers(0, 2) | st.integers(0, 10**9)))
by_partition = st.dictionaries(names, tallies, max_size=5)
THOUSANDS = {str(uuid.UUID(int=number * 7**40)): Tally(scanned=3, updated=3) for number in range(10_000)}


def keys_of(rows: dict[str, int]) -> KeyList:
    """A key list of this many rows of each partition, in that order."""
    labels = [name for name, count in rows.items() for _ in range(count)]
    return KeyList(keys=[{"id": {"S": f"row-{number:05}"}} for number in range(len(labels))], partitions=labels)


def table_of(source: KeyList) -> ModelTable:
    return ModelTable([dict(key) for key in source.keys])


# ── How they travel ────────────────────────────────────────────────────────────────────────────────────────


@given(by_partition)
def test_they_come_back_as_they_were_sent(tallies: dict[str, Tally]) -> None:
    assert unpack(pack(tallies)) == tallies
    for value in (Progress(partitions=tallies), ShardState(partitions=tallies), a_report(partitions=tallies)):
        assert type(value).model_validate_json(value.model_dump_json()) == value


def test_many_are_compressed_where_they_travel_beside_other_things() -> None:
    state = ShardState(partitions=THOUSANDS)
    sent = state.model_dump_json()
    assert len(sent) < PAYLOAD / 4
    assert ShardState.model_validate_json(sent) == state
    few_of_them = ShardState(partitions={"acme": Tally(scanned=2, vanished=2)})
    assert json.loads(few_of_them.model_dump_json())["partitions"] == {"acme": {"scanned": 2, "vanished": 2}}


def test_a_job_that_does_not_count_by_them_sends_nothing_of_them() -> None:
    record = Isolated(key={"id": {"S": "a"}})
    values: list[Any] = [record, Progress(isolated=[record]), ShardState(), a_report(), KeyList(keys=[])]
    assert not any("partition" in value.model_dump_json() for value in values)


def test_one_of_which_nothing_was_found_is_listed_with_zero() -> None:
    assert a_report(partitions={"acme": Tally()}).model_dump(mode="json")["partitions"] == {
        "acme": {"scanned": 0}
    }


def test_what_a_workflow_ends_with_has_ten_thousand_whole_and_never_more_than_a_payload_holds() -> None:
    plain = a_report(partitions=THOUSANDS)
    assert as_result(plain) == plain.model_dump(mode="json")
    assert len(json.dumps(as_result(plain))) < PAYLOAD / 2

    long = {name.ljust(400, "x"): tally for name, tally in THOUSANDS.items()}
    bad = list(long)[5000]
    long[bad] = Tally(scanned=1, quarantined=1)
    cut = as_result(a_report(partitions=long))
    assert len(json.dumps(cut)) < PAYLOAD
    assert len(cut["partitions"]) == 2500
    assert cut["partitions"][bad] == {"scanned": 1, "quarantined": 1}
    assert "7,500 of 10,000 partitions are left out here" in cut["warnings"][-1]

    handed_over = ReportInput(
        report=a_report(), version_attribute="v", partitions=PartitionsInput(partitions=long)
    )
    assert len(handed_over.model_dump_json()) < PAYLOAD


# ── A round ────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), tallies), max_size=8))
def test_each_gets_what_was_counted_while_it_was_in_hand(pages: list[tuple[str, Tally]]) -> None:
    parts, counted, expected = PartitionTallies(), Tally(), dict[str, Tally]()
    for name, page in pages:
        parts.turn_to(name, lambda counted=counted: counted)  # type: ignore[misc]
        counted += page
        expected = plus_each(expected, {name: page} if page != Tally() else {})
        assert parts.upto(counted) == expected


def test_a_row_that_is_gone_counts_to_the_partition_it_was_asked_for() -> None:
    source = keys_of({"acme": 120, "bolt": 3, "coda": 1})
    model = table_of(source)
    for number in (0, 119, 121):
        del model.rows[("S", f"row-{number:05}"),]
    carried = shard(model, source=source).run()
    assert carried.partitions == {
        "acme": Tally(scanned=120, updated=118, vanished=2),
        "bolt": Tally(scanned=3, updated=2, vanished=1),
        "coda": Tally(scanned=1, updated=1),
    }


def test_a_round_hands_back_before_it_has_come_to_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies_of_rounds, "MAX_PARTITIONS", 50)  # each heartbeat is looked at whole
    source = keys_of({f"tenant-{number:04}": 1 for number in range(120)})
    carried = shard(table_of(source), source=source).run()
    assert carried.stops == [Stop.SLICE, Stop.SLICE, Stop.DONE]
    assert carried.tally == Tally(scanned=120, updated=120)
    assert len(carried.partitions) == 120


def test_an_isolated_record_knows_where_its_outcome_will_count() -> None:
    source = keys_of({"acme": 5, "bolt": 5})
    carried = shard(table_of(source), source=source, isolation="record").run()
    assert [record.partition for record in carried.isolated] == ["acme"] * 5 + ["bolt"] * 5
    assert carried.partitions == {"acme": Tally(scanned=5), "bolt": Tally(scanned=5)}


# ── A job ──────────────────────────────────────────────────────────────────────────────────────────────────


def slot(index: int, rows: dict[str, int], counted: dict[str, Tally], **more: Any) -> Shard:
    """A shard as the root knows it when it has ended."""
    known = {"state": ShardState(partitions=counted), "done": True, "situation": "done", **more}
    return Shard(index, "running", keys_of(rows), **known)


def test_every_named_partition_has_a_tally_also_where_nothing_was_found() -> None:
    shards = [
        slot(0, {"acme": 1, "bolt": 1}, {"acme": Tally(scanned=2, updated=2)}),
        slot(1, {"acme": 1}, {"acme": Tally(scanned=3, current=3)}),
    ]
    assert of_shards(shards) == PartitionsInput(
        partitions={"acme": Tally(scanned=5, updated=2, current=3), "bolt": Tally()}
    )


def test_what_a_shard_has_kept_in_the_ledger_is_asked_for_there() -> None:
    place = Kept(job="reindex-cities", run="stamp", index=0, number=2)
    large = slot(0, {"acme": 1}, {}, state=None, kept=place)
    assert of_shards([large]) == PartitionsInput(partitions={"acme": Tally()}, kept=[place])


def test_of_a_shard_whose_end_is_lost_no_partition_has_a_total() -> None:
    """What it did after its last report would be missing, and look like all there was."""
    counted = {name: Tally(scanned=1, updated=1) for name in ("acme", "bolt", "coda")}
    shards = [
        slot(0, {"acme": 1, "bolt": 1}, {"acme": counted["acme"]}, lost=True, done=False),
        slot(1, {"acme": 1, "coda": 1}, {"coda": counted["coda"]}),
    ]
    assert unknown(shards) == ["acme", "bolt"]
    totals = PartitionTotals(partitions=counted, left_out=1, total=Tally(scanned=3, updated=3))
    exact = totals.model_copy(update={"partitions": {"coda": counted["coda"]}})
    assert known(totals, shards) == exact
    shards[0].lost = False  # started again, it counted the rest
    assert (unknown(shards), known(totals, shards)) == ([], totals)


def test_one_is_done_when_every_shard_that_reads_it_is() -> None:
    standing = PartitionProgress()
    shards = [slot(0, {"acme": 1, "bolt": 1}, {}), slot(1, {"acme": 1}, {}, done=False)]
    assert standing.of(shards) == PartitionsDone(total=2, done=1)
    shards[1].done = True
    assert standing.of(shards) == PartitionsDone(total=2, done=2)
    assert PartitionProgress().of([Shard(0, "running", KeyList(keys=[]))]) is None


def test_those_with_records_given_up_are_named_first() -> None:
    counted = {"acme": Tally(scanned=1, quarantined=1), "bolt": Tally(scanned=5), "coda": Tally(scanned=9)}
    assert ranked(counted) == ["acme", "coda", "bolt"]
    newest = [Isolated(key={"id": {"S": name}}, partition=name) for name in ("acme", "dune", "dune")]
    without = Isolated(key={"id": {"S": "a"}})
    assert with_quarantined([*newest, without]) == ["dune", "acme"]


def test_people_see_a_few_short_names() -> None:
    assert few(f"t{number}" for number in range(12)) == "t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 2 more"
    assert brief("a\nb|c" + "d" * 100) == "a\N{REPLACEMENT CHARACTER}b|c" + "d" * 34 + "…"


def test_totals_add_up_field_by_field() -> None:
    parts = [Tally(scanned=2, updated=1).plus(Outcome.CURRENT), Tally(scanned=1, vanished=1)]
    assert Tally.total(parts) == parts[0] + parts[1]
    assert parts[0] + parts[1] - parts[1] == parts[0]
