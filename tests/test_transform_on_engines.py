"""A job's query and function on every real engine: lossless values, guards, deletions, writers beside it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reindexer.dynamo.table import TableClient
from reindexer.jobs.job import Job
from reindexer.models import Progress, RoundInput, Segment, Stop, Transform, VerifyInput
from reindexer.table_rounds import run_round
from reindexer.tally import Outcome
from reindexer.values import plain, wire_item
from tests.tables import Table
from tests.verifying import verified
from tests.written_jobs import offer, write_job

MakeTable = Callable[..., Table]


class LiveContext:
    """A context that never stops."""

    def now(self) -> float:
        return time.monotonic()

    def heartbeat(self, progress: Callable[[], Any] | None = None, *, immediate: bool = False) -> None:
        pass

    def stopping(self) -> bool:
        return False

    def stale(self) -> bool:
        return False

    def rest(self, resting: bool) -> None: ...

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def run(table: Table, job: Job, writer: str = "partiql", number: int = 1) -> Any:
    """One run over the whole table; its rounds until it is done."""
    operation = Transform(kind="transform", job=job.name, params={}, version=number)
    target = table.target(
        operation=operation, code=job.code, version=number, stamp=f"run-{number}", writer=writer
    )
    request = RoundInput(target=target, source=Segment(segment=0, total=1))
    client = TableClient(table.client, table.name)
    progress = Progress()
    while True:
        result = run_round(request, LiveContext(), client)
        assert result.fault is None, result.fault
        progress = Progress(
            tally=progress.tally + result.progress.tally,
            attempts=progress.attempts + result.progress.attempts,
            isolated=progress.isolated + result.progress.isolated,
        )
        if result.stop is Stop.DONE:
            return target, progress
        request = request.model_copy(
            update={"cursor": result.progress.cursor or request.cursor, "rows_read": progress.tally.scanned}
        )


#: One of everything DynamoDB stores.
EVERYTHING = {
    "number": Decimal("12345678901234567890123456789012345678"),
    "tiny": Decimal("1E-130"),
    "negative": Decimal("-0.5"),
    "text": "Zürich \u0000 \U0001f600",
    "empty": "",
    "binary": b"\x00\xff",
    "no bytes": b"",
    "yes": True,
    "nothing": None,
    "list": ["a", Decimal(1), [], {}],
    "map": {"a": {"b": [None, False]}, "with.dot": Decimal("1.50")},
    "words": {"a", "b"},
    "numbers": {Decimal(1), Decimal("2.5")},
    "blobs": {b"a", b"b"},
    'odd "name"': "x",
}


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
def test_every_type_goes_through_unharmed_and_is_compared(
    each_engine: Any, make_table: MakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    """Every attribute is read, so that every one guards the write; all are copied to another name and back."""
    text = """
    def transform(item, params):
        new = {f"copy of {name}": value for name, value in item.items() if name != "id"}
        assert item.get("not there") is None
        return Update(set=new, remove=["words"])
    """
    job = write_job(tmp_path, text)
    offer(monkeypatch, job)
    table = make_table()
    table.put(*({"id": {"S": f"{number}"}, **wire_item(EVERYTHING)} for number in range(30)))
    _, progress = run(table, job, writer)
    assert (progress.tally[Outcome.UPDATED], progress.isolated) == (30, [])
    for row in table.items():
        found = {name: plain(value) for name, value in row.items()}
        assert "words" not in found
        for name in EVERYTHING:
            assert found[f"copy of {name}"] == plain(wire_item({name: EVERYTHING[name]})[name])
            if name != "words":
                assert found[name] == found[f"copy of {name}"]


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
def test_deletions_and_the_query_on_every_engine(
    each_engine: Any, make_table: MakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    text = """
    def query(params):
        old = Attr("age").gt(10) | Attr("tags").contains("x")
        return old & ~Attr("keep").exists() & Attr("n").between(1, 3)

    def transform(item, params):
        return Delete() if item.get("age") else Update(set={"seen": True})
    """
    job = write_job(tmp_path, text)
    offer(monkeypatch, job)
    table = make_table()
    rows: list[dict[str, Any]] = [
        {"age": 11, "n": 1}, {"age": 10, "n": 1}, {"tags": {"x"}, "n": 3}, {"tags": ["x"], "n": 3},
        {"age": 11, "n": 1, "keep": False}, {"age": 11, "n": 4}, {"tags": "axb", "n": 2}, {"age": "11", "n": 1},
    ]  # fmt: skip
    table.put(*(wire_item({"id": f"{number:02}", **row}) for number, row in enumerate(rows)))
    target, progress = run(table, job, writer)
    tally = progress.tally
    assert (tally.scanned, tally[Outcome.DELETED], tally[Outcome.UPDATED], tally[Outcome.FILTERED]) == (
        4,
        1,
        3,
        0,
    )
    assert sorted(row["id"]["S"] for row in table.items()) == ["01", "02", "03", "04", "05", "06", "07"]
    request = VerifyInput(target=target, source=Segment(segment=0, total=1))
    first = verified(request, table.client, LiveContext())
    assert (first.scanned, first.behind, first.results[-1].fault) == (7, 0, None)
    table.put(wire_item({"id": "new", "age": 20, "n": 1}), wire_item({"id": "other", "age": 2, "n": 1}))
    second = verified(request, table.client, LiveContext())
    assert (second.behind, list(second.kept)) == (1, ['{"id":{"S":"new"}}'])


class Writer(threading.Thread):
    """Hammers records of its own in every way, and remembers what it left behind last."""

    def __init__(self, table: Table, keys: list[str], until: float, seed: int) -> None:
        super().__init__()
        self._table, self._keys, self._until = table, keys, until
        self._draw = random.Random(seed)
        self.last: dict[str, str | None] = {}  # key → text, None: deleted
        self.writes = 0

    def run(self) -> None:
        while time.monotonic() < self._until:
            key, kind = self._draw.choice(self._keys), self._draw.choice(["update", "put", "delete", "update"])
            text = self._draw.choice(["old", "new"]) + f" {self.writes}"
            name, client = self._table.name, self._table.client
            if kind == "put":
                client.put_item(TableName=name, Item={"id": {"S": key}, "text": {"S": text}})
            elif kind == "delete":
                client.delete_item(TableName=name, Key={"id": {"S": key}})
            else:
                client.update_item(
                    TableName=name,
                    Key={"id": {"S": key}},
                    UpdateExpression="SET #t = :t",
                    ExpressionAttributeNames={"#t": "text"},
                    ExpressionAttributeValues={":t": {"S": text}},
                )
            self.last[key] = None if kind == "delete" else text
            self.writes += 1


SHOUT = """
    def transform(item, params):
        return Update(set={"text": item.get("text", "").upper()})
"""
WEED = """
    def transform(item, params):
        return Delete() if item.get("text", "").startswith("old") else Skip("new")
"""


@pytest.mark.parametrize(
    ("text", "writer"),
    [
        (SHOUT, "partiql"),
        (WEED, "update_item"),
        pytest.param(SHOUT, "update_item", marks=pytest.mark.nightly),
        pytest.param(WEED, "partiql", marks=pytest.mark.nightly),
    ],
    ids=["shout-partiql", "weed-update_item", "shout-update_item", "weed-partiql"],
)
def test_writers_hammering_the_same_records_lose_no_update(
    dynamodb: Any,
    make_table: MakeTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    writer: str,
    text: str,
) -> None:
    """Whatever a writer left last is there in the end: as it was, transformed, or deleted for what it says."""
    job = write_job(tmp_path, text)
    offer(monkeypatch, job)
    table = make_table()
    keys = [f"row-{number:03}" for number in range(24)]
    table.put(*({"id": {"S": key}, "text": {"S": "old 0"}} for key in keys))
    until = time.monotonic() + 2  # seconds: a thousand writes
    writers = [Writer(table, keys[number::3], until, number) for number in range(3)]
    for one in writers:
        one.start()
    runs = conflicts = 0
    while time.monotonic() < until or any(one.is_alive() for one in writers):
        runs += 1
        _, progress = run(table, job, writer, runs)
        assert progress.tally.balanced(len(progress.isolated))
        conflicts += progress.attempts.conflicts
    found = {row["id"]["S"]: row.get("text", {}).get("S", "") for row in table.items()}
    for one in writers:
        assert one.writes > 50
        for key, last in one.last.items():
            if last is None:
                assert key not in found, f"{key} was deleted, and is there again"
            elif text is SHOUT:
                assert found[key] in (last, last.upper()), f"{key} lost {last}"
            elif last.startswith("new"):
                assert found[key] == last, f"{key} lost {last}"
            else:
                assert found.get(key, last) == last
    assert conflicts > 5, "no one came in between: this shows nothing"
