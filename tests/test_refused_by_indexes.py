"""Records that an index added later refuses: named by the plan, given up one by one, named in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from activities.quarantine import QuarantineActivities
from reindexer.dynamo.table import TableClient
from reindexer.errors import cut
from reindexer.items import to_json_key
from reindexer.ledger import Ledger
from reindexer.models import IndexKey, Isolated, QuarantineEntry, QuarantineInput, RoundInput, Segment
from reindexer.table_rounds import run_round
from reindexer.tally import Tally
from tests.driving import FakeContext, shard, target
from tests.model_table import Clock, ModelTable
from tests.tables import Table
from tests.test_planning import plan

Make = Callable[..., Table]
BY_YEAR = IndexKey(index="by-year", name="year", type="N", partition=True)
BY_GENRE = IndexKey(index="by-genre", name="genre", type="S", partition=True)
OF_GENRE = IndexKey(index="of-genre", name="genre", type="S", partition=False)
INDEXES: dict[str, Any] = {"index_keys": {"year": "N", "genre": "S"}, "indexes": [BY_YEAR, BY_GENRE, OF_GENRE]}
#: What a record holds, and why an index does not take it; None: all do.
RECORDS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"year": {"N": "1999"}, "genre": {"S": "x" * 1024}}, None),
    ({"year": {"S": "1999"}}, "year: a key of index by-year, of type N, not S"),
    ({"year": {"B": b"1999"}}, "year: a key of index by-year, of type N, not B"),
    ({"genre": {"S": ""}}, "genre: a key of index by-genre cannot be empty"),
    ({"genre": {"S": "x" * 2049}}, "genre: 2,049 bytes, above the 2,048 of a partition key of index by-genre"),
    ({"genre": {"S": "x" * 1025}}, "genre: 1,025 bytes, above the 1,024 of a sort key of index of-genre"),
]
REFUSED = sum(why is not None for _, why in RECORDS)
WORDS = "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit"
NAMING = "Type mismatch for Index Key year Expected: N Actual: S IndexName: by-year"


def rows() -> list[Any]:
    return [{"id": {"S": f"row-{number}"}, **more} for number, (more, _) in enumerate(RECORDS)]


class Refusing(ModelTable):
    """Updates of records that an index does not take are refused, one statement at a time."""

    def batch_execute_statement(self, *, Statements: list[Any], **_: Any) -> Any:
        answer = super().batch_execute_statement(Statements=Statements)
        for statement, answered in zip(Statements, answer["Responses"], strict=True):
            identity = self.identity({"id": statement["Parameters"][2]})
            number = int(identity[0][1].removeprefix("row-"))
            if RECORDS[number][1] is not None:
                self.rows[identity] = dict(self.first[identity])
                answered["Error"] = {"Code": "ValidationError", "Message": WORDS}
        return answer


def test_each_is_given_up_by_itself_and_the_others_go_on() -> None:
    carried = shard(Refusing(rows()), target=target(**INDEXES)).run()
    assert carried.tally == Tally(scanned=len(RECORDS), updated=len(RECORDS) - REFUSED)
    assert {(record.error, record.given_up, record.unknown) for record in carried.isolated} == {
        ("IndexKey", True, False)
    }
    assert len(carried.isolated) == REFUSED


class Kept:
    """A worker's clients: one table, and a ledger that keeps what it is given."""

    def __init__(self, model: ModelTable) -> None:
        self.ledger = self.failures = self
        self._model, self.entries = model, list[QuarantineEntry]()

    def table(self, _: Any) -> TableClient:
        return TableClient(self._model, "t")  # type: ignore[arg-type]

    def add(self, entry: QuarantineEntry) -> None:
        self.entries.append(entry)


def listed(row: dict[str, Any], error: str, message: str, **how: Any) -> QuarantineEntry:
    clients = Kept(ModelTable([row]))
    record = Isolated(key=to_json_key({"id": row["id"]}), error=error, message=message, given_up=True)
    request = QuarantineInput(target=target(**(INDEXES | how)), job="j", run="r", record=record)
    result = QuarantineActivities(clients).quarantine_record(request)  # type: ignore[arg-type]
    [entry] = clients.entries
    assert (result.outcome, result.record.message) == ("quarantined", entry.message)
    return entry


@pytest.mark.parametrize(("number", "why"), [(n, why) for n, (_, why) in enumerate(RECORDS) if why])
def test_the_ledger_names_attribute_and_index_where_dynamodb_does_not(number: int, why: str) -> None:
    entry = listed(rows()[number], "IndexKey", WORDS)
    assert (entry.error, entry.message) == ("IndexKey", cut(f"{why} ({WORDS})"))
    older = listed(rows()[number], "IndexKey", WORDS, indexes=[])  # planned by an older worker
    assert older.message == WORDS or "a key of an index" in older.message


def test_otherwise_the_message_stays_as_it_is() -> None:
    refused, fine = rows()[2], rows()[1]
    assert listed(refused, "IndexKey", NAMING).message == NAMING
    assert listed(fine, "IndexKey", WORDS).message == WORDS
    assert listed(refused, "ValidationError", "odd").message == "odd"


# ── On engines ─────────────────────────────────────────────────────────────────────────────────────────────


def add_index(table: Table, key: IndexKey) -> None:
    types = {"id": "S", key.name: key.type}
    schema = [{"AttributeName": key.name, "KeyType": "HASH"}]
    if not key.partition:
        schema = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": key.name, "KeyType": "RANGE"}]
    made: Any = {"IndexName": key.index, "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    table.client.update_table(
        TableName=table.name,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": kind} for n, kind in types.items()],
        GlobalSecondaryIndexUpdates=[{"Create": made}],
    )
    until = time.monotonic() + 30  # seconds; engines take up to two
    while time.monotonic() < until:
        if _active(table):
            return
        time.sleep(0.1)
    raise AssertionError(f"{key.index} does not become active")


def _active(table: Table) -> bool:
    """Whether all indexes are. DynamoDB Local fails once in 4,000 times that it is asked while it makes one."""
    try:
        described = table.client.describe_table(TableName=table.name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InternalFailure":
            raise
        return False
    return all(index.get("IndexStatus", "ACTIVE") == "ACTIVE" for index in described["GlobalSecondaryIndexes"])


@pytest.fixture
def later(make_table: Make) -> Table:
    """A table whose indexes came after its records."""
    return _later(make_table())


def _later(table: Table) -> Table:
    table.put(*rows())
    for key in (BY_YEAR, BY_GENRE, OF_GENRE):
        add_index(table, key)
    return table


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
def test_an_engine_updates_such_a_record_or_it_is_given_up_for_its_index(
    each_engine: Any, make_table: Make, writer: str
) -> None:
    """Engines differ; whatever they answer, no other record suffers."""
    table = _later(make_table())
    aim = table.target(writer=writer, **INDEXES)
    request = RoundInput(target=aim, source=Segment(segment=0, total=1))
    progress = run_round(request, FakeContext(Clock()), table.calls).progress
    given_up = {record.key["id"]["S"] for record in progress.isolated}
    assert {record.error for record in progress.isolated} <= {"IndexKey"}
    assert all(record.given_up for record in progress.isolated)
    assert progress.tally == Tally(scanned=len(RECORDS), updated=len(RECORDS) - len(given_up))
    assert given_up <= {f"row-{number}" for number, (_, why) in enumerate(RECORDS) if why}
    assert given_up or each_engine.name != "local", "DynamoDB Local refuses them"


def test_the_plan_warns_of_them(later: Table, ledger: Ledger) -> None:
    [year, genre] = [text for text in plan(later, ledger).warnings if "does not take" in text]
    assert year.startswith(
        "2 of 7 sampled records hold a value of year that its index does not take (year: a key"
    )
    assert "index by-year" in year
    assert "quarantined as IndexKey" in year
    assert genre.startswith("3 of 7 sampled records hold a value of genre")
    shout = {"kind": "transform", "job": "normalise_whitespace"}
    assert sum("does not take" in text for text in plan(later, ledger, operation=shout).warnings) == 2
