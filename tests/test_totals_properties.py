"""Whatever happens to a shard of named partitions, each one's total is right: faults, crashes, deletions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.items import from_json_key
from reindexer.models import KeyAttribute, PartitionRange, PartitionRanges, PartitionScope
from reindexer.tally import Outcome, Tally
from tests.driving import Life, Shard, assert_by_partition, shard, target
from tests.model_partitions import ModelPartitions
from tests.model_table import Identity, Item, ModelTable, Plan
from tests.strategies import lives, schedules, stops, troubled
from tests.written_jobs import aim, offer, write_job

NAMES = ("acme", "bolt", "coda", "dune")
KEY = [KeyAttribute(name="id", type="S"), KeyAttribute(name="sort", type="S")]
WITHIN = PartitionScope(partition=KEY[0], sort=KEY[1])
SOURCE = PartitionRanges(ranges=[PartitionRange(value=name) for name in NAMES])


class PartitionedTable(ModelTable):
    """The model with Query, which meets what a scan meets."""

    def query(self, **request: Any) -> Item:
        self._begin("scan", "Query")
        rows = list(self.rows.values())
        return ModelPartitions(rows, self.key_names, page_rows=self.page_rows).query(**request)


def tenants() -> st.SearchStrategy[list[Item]]:
    """Rows of up to four tenants; some versions are at the target, past it, or of another type."""
    versions = st.sampled_from([None, None, None, {"N": "3"}, {"N": "7"}, {"N": "8"}, {"S": "7"}])
    return st.lists(st.tuples(st.sampled_from(NAMES), versions), min_size=1, max_size=60).map(
        lambda drawn: [
            {
                "id": {"S": name},
                "sort": {"S": f"{number:03}"},
                **({"reindexVersion": version} if version else {}),
            }
            for number, (name, version) in enumerate(drawn)
        ]
    )


def carry(
    table: list[Item], schedule: list[Plan], more: list[Life], bad: dict[int, str], aimed: Any
) -> tuple[Shard, PartitionedTable]:
    model = PartitionedTable(
        table,
        ("id", "sort"),
        plan=lambda n: schedule[n - 1] if n <= len(schedule) else None,
        page_rows=7,  # several pages of a partition, and several partitions
    )
    for number, fault in bad.items():
        identity: Identity = sorted(model.first)[number % len(table)]
        if fault == "poison":
            model.poison.add(identity)
        else:
            model.failing[identity] = fault
    carried = shard(model, source=SOURCE, target=aimed).run(more)
    assert_by_partition(carried.partitions, carried.tally, carried.isolated)
    assert not model.changed_twice
    assert all(one.partition == one.key["id"]["S"] for one in carried.isolated)
    return carried, model


writer = st.sampled_from(["partiql", "update_item"])


@given(tenants(), schedules(writers=False), lives, writer, troubled)
def test_on_a_quiet_table_each_tenants_counts_are_exact(
    table: list[Item], schedule: list[Plan], more: list[Life], how: str, bad: dict[int, str]
) -> None:
    carried, model = carry(table, schedule, more, bad, target(writer=how, key=KEY, within=WITHIN))
    isolated = {model.identity(from_json_key(one.key)) for one in carried.isolated}
    updated = Counter(model.first[identity]["id"]["S"] for identity in set(model.changed) - isolated)
    for name in NAMES:
        rows = [row for row in table if row["id"]["S"] == name]
        versions = Counter(row["reindexVersion"]["N"] for row in rows if "N" in row.get("reindexVersion", {}))
        expected = Tally(
            scanned=len(rows), updated=updated[name], current=versions["7"], superseded=versions["8"]
        )
        assert carried.partitions.get(name, Tally()) == expected


@given(tenants(), schedules(writers=True), lives, writer, troubled)
def test_with_other_writers_no_row_counts_to_two_tenants_or_to_none(
    table: list[Item], schedule: list[Plan], more: list[Life], how: str, bad: dict[int, str]
) -> None:
    carried, model = carry(table, schedule, more, bad, target(writer=how, key=KEY, within=WITHIN))
    for name in NAMES:
        rows = [identity for identity, row in model.first.items() if row["id"]["S"] == name]
        undisturbed = len(set(rows) - model.disturbed)
        assert undisturbed <= carried.partitions.get(name, Tally()).scanned <= len(rows)


@given(tenants(), schedules(writers=False, killed=False), stops, writer)
def test_rows_that_a_job_deletes_count_to_their_tenant(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[Item],
    schedule: list[Plan],
    more: list[Life],
    how: str,
) -> None:
    """Also those that are never handed out again: beyond the cursor, or deleted by what was not answered."""
    text = "def transform(item, params):\n    return Delete()\n"
    job = write_job(tmp_path_factory.mktemp("job"), text, "weed")
    with pytest.MonkeyPatch.context() as patch:
        offer(patch, job)
        carried, model = carry(table, schedule, more, {}, aim(job, writer=how, key=KEY, within=WITHIN))
    gone = Counter(row["id"]["S"] for row in table if model.identity(row) not in model.rows)
    # Their own activity counts these.
    apart = Counter(
        one.key["id"]["S"]
        for one in carried.isolated
        if model.identity(from_json_key(one.key)) not in model.rows
    )
    for name in NAMES:
        tally = carried.partitions.get(name, Tally())
        assert (tally[Outcome.DELETED], tally[Outcome.VANISHED]) == (gone[name] - apart[name], 0)
