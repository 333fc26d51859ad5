"""Reads that lag behind: pages from an image of the table of a while ago, and entries of an index that move."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.models import KeyAttribute, PartitionRange, PartitionRanges, PartitionScope, Share
from reindexer.page import Page, after_keys
from reindexer.round_context import RoundContext
from reindexer.sinks.recently_deleted import RecentlyDeleted
from reindexer.sources.partitions import PartitionSource
from reindexer.tally import Tally
from reindexer.throttle import Budget
from tests.driving import FakeContext, Life, shard
from tests.model_partitions import ModelPartitions
from tests.model_table import Clock, ModelTable
from tests.written_jobs import aim, offer, write_job

ROWS = [{"id": {"S": f"row-{number:03}"}, "age": {"N": "20"}} for number in range(60)]
LAG = 20  # calls: more than a page's deletions take


def deleting(folder: Path, patch: pytest.MonkeyPatch, **more: Any) -> Any:
    job = write_job(folder, "def transform(item, params):\n    return Delete()\n")
    offer(patch, job)
    return aim(job, **more)


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
@pytest.mark.parametrize("stop_each", [3, 5, 8])
def test_rows_that_were_deleted_are_counted_once_though_scans_lag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, stop_each: int
) -> None:
    """Each round ends early, and the next one reads from where it was: a lagging page has the rows again."""
    model = ModelTable(ROWS, page_rows=7)
    model.lag = LAG
    carried = shard(model, target=deleting(tmp_path, monkeypatch, writer=writer))
    carried.run([Life(stop_at=stop_each) for _ in range(30)])
    assert carried.tally == Tally(scanned=60, deleted=60)
    assert all(model.consistent_scans)


def test_a_deletion_that_only_a_declaration_shows_is_read_for_consistently_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import reindexer\ndestructive = True\ngone = getattr(reindexer, 'Del' + 'ete')\n"
    job = write_job(tmp_path, text + "def transform(item, params):\n    return gone()\n")
    offer(monkeypatch, job)
    model = ModelTable(ROWS, page_rows=7)
    model.lag = LAG
    carried = shard(model, target=aim(job, writer="partiql")).run([Life(stop_at=4) for _ in range(20)])
    assert carried.tally == Tally(scanned=60, deleted=60)


def test_a_touch_reads_at_half_the_price_and_stays_exact(tmp_path: Path) -> None:
    model = ModelTable(ROWS, page_rows=7)
    model.lag = LAG
    carried = shard(model).run([Life(stop_at=4, kill_at=9) for _ in range(20)])
    assert carried.tally == Tally(scanned=60, updated=60)
    assert set(model.changed.values()) == {1}
    assert not any(model.consistent_scans)


def test_a_job_that_works_for_each_record_reads_consistently_where_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows beyond the cursor may carry the stamp; a lagging page without it would repeat their work."""
    job = write_job(tmp_path, "calls = []\ndef process(item, params):\n    calls.append(item['id'])\n")
    offer(monkeypatch, job)
    model = ModelTable(ROWS[:20])
    model.lag = LAG
    first = min(model.rows, key=model._order)
    model.failing[first] = "throttled"
    carried = shard(model, target=aim(job, writer="partiql"))
    carried.one_round(Life())
    assert len(model.changed) == 19
    model.failing.clear()
    carried.run()
    assert carried.tally == Tally(scanned=20, updated=20)
    assert model.consistent_scans[-1]
    assert job.process is not None
    counted = Counter(job.process.__globals__["calls"])
    [(twice, _)] = [entry for entry in counted.items() if entry[1] > 1] or [(None, 0)]
    assert twice in (None, first[0][1]), "only the record that was under way was worked for again"


# ── An index ───────────────────────────────────────────────────────────────────────────────────────────────

SCOPE = PartitionScope(
    index="by-city",
    partition=KeyAttribute(name="city", type="S"),
    sort=KeyAttribute(name="at", type="N"),
)


def row(name: str, at: int) -> dict[str, Any]:
    return {"id": {"S": name}, "city": {"S": "Ulm"}, "at": {"N": str(at)}}


class Moving(ModelPartitions):
    """One whose index shows an entry where it was and where it is."""

    def __init__(self, rows: list[dict[str, Any]], old: list[dict[str, Any]], page_rows: int) -> None:
        super().__init__(rows, ["id"], ["city", "at"], page_rows)
        self.old = old

    def query(self, **asked: Any) -> Any:
        now, self.rows = self.rows, [*self.rows, *self.old]
        try:
            return super().query(**asked)
        finally:
            self.rows = now


def source(model: ModelPartitions, *, consistent: bool = True) -> tuple[PartitionSource, RoundContext]:
    context = FakeContext(Clock())
    key = [KeyAttribute(name="id", type="S")]
    ranges = PartitionRanges(ranges=[PartitionRange(value="Ulm")])
    table = TableClient(model, "t")  # type: ignore[arg-type]
    made = PartitionSource(table, SCOPE, ranges, key, None, {}, context, consistent=consistent)
    return made, context


@pytest.mark.parametrize("page_rows", [3, 7, 1000])
def test_a_page_of_an_index_that_names_a_record_twice_hands_it_out_once(page_rows: int) -> None:
    rows = [row(f"row-{number}", 10 * number) for number in range(6)]
    model = Moving(rows, [row("row-1", 11), row("row-5", 51)], page_rows)
    made, context = source(model)
    pages = list(made.pages(None, 0, Budget(Share(), context)))
    names = [item["id"]["S"] for page in pages for item in page.rows]
    assert sorted(set(names)) == [f"row-{number}" for number in range(6)]
    for page in pages:
        assert len({item["id"]["S"] for item in page.rows}) == len(page.rows)
        assert [page.cursor_after(at)["id"] for at in range(len(page.rows))] == [row["id"] for row in page.rows]
    if page_rows == 1000:
        assert len(names) == 6


def test_an_entry_that_moves_after_its_record_was_deleted_is_not_counted_again() -> None:
    recent = RecentlyDeleted()
    recent.add({"id": {"S": "b"}})
    rows: list[Any] = [{"id": {"S": name}} for name in "abc"]
    page = Page(rows, None, after_keys(rows, ["id"]), 1.0, frozenset({1, 2}), "Ulm")
    left = recent.left_out(page, ("id",))
    assert ([row["id"]["S"] for row in left.rows], left.gone) == (["a", "c"], frozenset({1}))
    assert [left.cursor_after(position) for position in range(2)] == [rows[0], rows[2]]
    created = Page(rows, None, after_keys(rows, ["id"]), 1.0, frozenset(), "Ulm")
    assert recent.left_out(created, ("id",)) is created, "created again, it is a record like others"


def test_a_read_by_key_asks_for_each_record_once() -> None:
    """The model refuses a key that is named twice, as BatchGetItem does; 1 and 1.0 are one key."""
    model = ModelPartitions([{"id": {"N": "1"}}, {"id": {"N": "2"}}], ["id"])
    keys = [{"id": {"N": text}} for text in ("1", "2", "1.0", "1")]
    found, _ = read_consistently(TableClient(model, "t"), keys, None)  # type: ignore[arg-type]
    assert len(found) == 2
