"""Whatever happens to a shard under a user's function, its account is right and no one's update is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.jobs.job import Job
from reindexer.tally import Outcome
from tests.driving import Life, Shard, shard
from tests.model_table import ModelTable, Plan
from tests.strategies import lives, rows, schedules
from tests.written_jobs import aim, offer, write_job

#: Not idempotent on purpose: done twice, it shows.
COUNT = """
    def transform(item, params):
        return Update(set={"n": item.get("n", 0) + 1})
"""
WEED = """
    def transform(item, params):
        return Delete()
"""


@pytest.fixture(scope="module")
def jobs() -> Iterator[dict[str, Job]]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        made = {name: write_job(Path(folder), text, name) for name, text in (("count", COUNT), ("weed", WEED))}
        offer(patch, *made.values())
        yield made


def carry(job: Job, table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str) -> Shard:
    model = ModelTable(table, plan=lambda n: schedule[n - 1] if n <= len(schedule) else None, page_rows=17)
    carried = shard(model, target=aim(job, writer=how)).run(more)
    assert carried.tally.balanced(len(carried.isolated))
    assert not model.changed_twice
    return carried


writer = st.sampled_from(["partiql", "update_item"])


@given(rows(), schedules(writers=False), lives, writer)
def test_on_a_quiet_table_each_record_is_transformed_exactly_once(
    jobs: dict[str, Job], table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str
) -> None:
    carried = carry(jobs["count"], table, schedule, more, how)
    assert carried.tally.scanned == len(table)
    isolated = {carried.model.identity({"id": {"S": one.key["id"]["S"]}}) for one in carried.isolated}
    for identity, row in carried.model.rows.items():
        if identity not in isolated and carried.model.changed[identity]:
            assert row["n"] == {"N": "1"}


@given(rows(), schedules(writers=True), lives, writer)
def test_beside_other_writers_the_function_never_undoes_what_they_wrote(
    jobs: dict[str, Job], table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str
) -> None:
    """Whoever replaced or re-created a record took `n` away; it never comes back above one."""
    carried = carry(jobs["count"], table, schedule, more, how)
    for row in carried.model.rows.values():
        assert row.get("n") in (None, {"N": "1"}), row


@given(
    rows(),
    schedules(writers=False, killed=False),
    st.lists(st.builds(Life, stop_at=st.integers(1, 30)), max_size=4),
    writer,
)
def test_deletions_are_counted_exactly_through_stops_and_errors(
    jobs: dict[str, Job], table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str
) -> None:
    carried = carry(jobs["weed"], table, schedule, more, how)
    tally, model = carried.tally, carried.model
    assert sum(model.deleted.values()) == len(model.first) - len(model.rows)
    gone = [one for one in carried.isolated if model.identity({"id": one.key["id"]}) not in model.rows]
    assert all(one.deleting for one in gone), "their own activity has to know what became of them"
    assert (tally[Outcome.DELETED], tally[Outcome.VANISHED]) == (sum(model.deleted.values()) - len(gone), 0)
    left = {str(row["id"]) for row in model.rows.values() if "reindexVersion" not in row}
    assert len(left) <= len(carried.isolated)


@given(rows(), schedules(writers=True), lives, writer)
def test_deletions_never_hit_a_record_that_was_created_again_unnoticed(
    jobs: dict[str, Job], table: list[dict[str, Any]], schedule: list[Plan], more: list[Life], how: str
) -> None:
    carried = carry(jobs["weed"], table, schedule, more, how)
    assert all(count <= 3 for count in carried.model.deleted.values())
