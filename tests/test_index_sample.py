"""The check at the end of an index: documents are counted, and a random sample is compared with its records."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from rich.text import Text

from commands.rendering.index import index_rows
from reindexer.checks.index_sample import same_json, sample_index
from reindexer.dynamo.table import TableClient
from reindexer.models import Index, Indexed, IndexSample, IndexSampleInput, SearchIndex
from reindexer.search.client import SearchClient
from testbed.job import outcome
from testbed.stack import Stack
from tests.driving import FakeContext, target
from tests.model_table import Clock
from tests.planted import content
from tests.searching import ask
from tests.tables import Table, made_up_key
from workflows.job.report import document_warnings

Make = Callable[..., Table]


def own_alias() -> str:
    return f"sample-{uuid.uuid4().hex[:8]}"


def indexing(table: Table, search: str, alias: str, **more: Any) -> dict[str, Any]:
    operation = {"kind": "index", "to": {"search": search, "alias": alias}, "move_alias": "always"}
    return {"table": table.name, "total_segments": 2, **more, "operation": operation}


def filled(make_table: Make, rows: int, **schema: Any) -> Table:
    table = make_table(**schema)
    table.put(*({**made_up_key(table.key, n), **content(n)} for n in range(rows)))
    return table


@pytest.mark.parametrize(("rows", "most"), [(0, 0), (1, 1), (150, 150), (1500, 400)])
async def test_each_sampled_record_equals_its_document(
    quiet: Stack, make_table: Make, search: str, rows: int, most: int
) -> None:
    table = filled(make_table, rows, hash_type="N", range_type="S")
    state, report = await outcome(await quiet.start(indexing(table, search, own_alias())))
    assert state == "complete", report
    sample = report["index"]["sample"]
    assert sample == {
        "sampled": sample["sampled"], "equal": sample["sampled"], "missing": 0, "different": 0, "keys": []
    }  # fmt: skip
    assert min(rows, 200) <= sample["sampled"] <= most + 20


def test_what_differs_is_counted_by_its_kind_and_named(make_table: Make, search: str) -> None:
    table, alias = filled(make_table, 60), own_alias()
    index = SearchIndex(search=search, alias=alias, cluster="c", index=f"{alias}-1", left_out=["size"])
    operation = Index.model_validate({"kind": "index", "to": {"search": search, "alias": alias}})
    aim = target(
        table=table.name, key=list(table.key), writer="bulk", operation=operation, search=index
    )  # fmt: skip
    for number in range(60):
        made = {"id": f"row-{number:06}", "tags": ["a", "b"], "more": {"a.b": [f"{base64_of(number)}"]}}
        if number == 3:
            made["tags"] = ["a"]
        if number != 5:
            path = f"/{index.index}/_doc/{made['id']}?version=9&version_type=external"
            body = {"_order": 9, **made} if number != 7 else {"_order": 9, "_gone": "2026-01-01T00:00:00.000Z"}
            assert ask(search, "PUT", path, body)[0] == 201
    clock = Clock()
    asked = IndexSampleInput(target=aim, rows=60)
    found = sample_index(asked, TableClient(table.client, table.name), SearchClient(index), FakeContext(clock))
    assert (found.sampled, found.equal, found.different, found.missing) == (60, 57, 1, 2)
    assert sorted(key["id"]["S"] for key in found.keys) == ["row-000003", "row-000005", "row-000007"]
    [warning] = document_warnings(reported(index, found).index)
    assert warning.startswith("2 of 60 sampled records have no document in the index")
    shown = Text.assemble(*(text for _, text in index_rows(reported(index, found)))).plain
    assert "60 records read consistently: 1 different, 2 without a document" in shown


def reported(index: SearchIndex, sample: IndexSample) -> Any:
    made = Indexed(index=index.index, alias=index.alias, documents=58, expected=58, sample=sample, moved=True)
    return SimpleNamespace(index=made, verification=None)


def base64_of(number: int) -> str:
    return base64.b64encode(b"\x00" + bytes([number % 256])).decode()


async def test_without_verification_nothing_is_counted_and_nothing_compared(
    quiet: Stack, make_table: Make, search: str
) -> None:
    table = filled(make_table, 20)
    job = indexing(table, search, own_alias(), verify=False)
    state, report = await outcome(await quiet.start(job))
    assert state == "complete", report
    found = report["index"]
    assert (found["counted"], found["documents"], "sample" in found, found["moved"]) == (False, 0, False, True)
    assert any(warning.startswith("not verified") for warning in report["warnings"])


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1}, {"a": Decimal("1.0")}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": None}, {}, False),
        ({"a": [1, {"b": False}]}, {"a": [1, {"b": False}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        (None, {"a": 1}, False),
        (None, None, True),
        (Decimal("0.12345678901234567890123456789012345678"), 0.12345678901234568, False),
    ],
)
def test_values_are_compared_as_json_has_them(one: Any, other: Any, equal: bool) -> None:
    assert same_json(one, other) is equal
