"""The judge of search indexes: what it takes for equal, on a real table and a real OpenSearch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reindexer.search.documents import Documents, with_order
from testbed.judge_index import Difference, differences
from tests.searching import ask, own_index
from tests.tables import Table

Make = Callable[..., Table]
TINY = "1E-130"  # the smallest that DynamoDB takes
LONG = "12345678901234567890.123456789012345678"  # 38 digits, which no double holds

EQUAL: list[tuple[dict[str, Any], str]] = [
    ({"S": "ä"}, '"\\u00e4"'),
    ({"S": ""}, '""'),
    ({"N": "1.50"}, "1.5"),
    ({"N": "1"}, "1.0"),
    ({"N": "1E2"}, "100"),
    ({"N": "0.1"}, "0.1"),
    ({"N": LONG}, LONG),
    ({"N": TINY}, TINY),
    ({"B": b"\x00\xff"}, '"AP8="'),
    ({"BOOL": True}, "true"),
    ({"NULL": True}, "null"),
    ({"M": {"a": {"N": "1"}}}, '{"a": 1}'),
    ({"L": [{"S": "a"}, {"N": "1"}]}, '["a", 1]'),
    ({"SS": ["a", "b"]}, '["b", "a"]'),
    ({"NS": ["1", "2.0"]}, "[2, 1]"),
    ({"BS": [b"a", b"b"]}, '["Yg==", "YQ=="]'),
]
DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"S": "1"}, "1"),
    ({"N": "1"}, '"1"'),
    ({"N": "0.1"}, '"0.1"'),
    ({"N": "1"}, "2"),
    ({"N": "1"}, "true"),
    ({"N": LONG}, "12345678901234567890.12345678901234567"),
    ({"N": LONG}, f'"{LONG}"'),
    ({"B": b"a"}, '"a"'),
    ({"BOOL": True}, "1"),
    ({"BOOL": False}, "null"),
    ({"NULL": True}, "false"),
    ({"M": {"a": {"N": "1"}}}, '{"a": 1, "b": null}'),
    ({"L": [{"S": "a"}, {"N": "1"}]}, '[1, "a"]'),
    ({"L": [{"S": "a"}]}, '["a", "a"]'),
    ({"SS": ["a", "b"]}, '["a", "a"]'),
    ({"SS": ["a"]}, '"a"'),
    ({"NS": ["1", "2"]}, "[1]"),
]


@pytest.fixture
def index(search: str) -> Iterator[str]:
    """An index that takes whatever JSON comes, and one shard of it."""
    name = own_index()
    made = {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {"enabled": False},
    }
    assert ask(search, "PUT", f"/{name}", made)[0] == 200
    yield name
    ask(search, "DELETE", f"/{name}")


def put(search: str, index: str, name: str, source: str) -> None:
    assert ask(search, "PUT", f"/{index}/_doc/{name}", source.encode())[0] in (200, 201)


def judged(table: Table, search: str, index: str, **options: Any) -> list[Difference]:
    return list(differences(table.client, table.name, search, index, **options))


@pytest.mark.parametrize(("cases", "kinds"), [(EQUAL, set()), (DIFFERENT, {"different"})])
def test_values_are_equal_by_what_they_mean(
    cases: list[tuple[dict[str, Any], str]], kinds: set[str], make_table: Make, search: str, index: str
) -> None:
    table = make_table()
    for number, (value, source) in enumerate(cases):
        table.put({"id": {"S": f"case-{number}"}, "x": value})
        put(search, index, f"any-{number}", f'{{"id": "case-{number}", "x": {source}, "_order": 7}}')
    found = judged(table, search, index)
    assert {difference.kind for difference in found} == kinds
    keys = {difference.key["id"]["S"] for difference in found if difference.key}
    assert keys == ({f"case-{number}" for number in range(len(cases))} if kinds else set())


def test_what_a_job_renders_is_equal(make_table: Make, search: str, index: str) -> None:
    """The two share no code: so each is held against the other."""
    table = make_table()
    values = {f"x{number}": value for number, (value, _) in enumerate(EQUAL)}
    item = {"id": {"S": "a"}, **values, "deep": {"L": [{"M": values}]}, "reindexVersion": {"N": "7"}}
    table.put(item)
    stored = table.get({"id": {"S": "a"}})
    assert stored is not None
    rendered = Documents(["reindexVersion"], ["x2", "deep.x2"]).of_item(stored)
    put(search, index, "1", with_order(rendered, 7, "").decode())
    options: dict[str, Any] = {"left_out": ["reindexVersion"], "as_text": ["x2", "deep.x2"]}
    assert judged(table, search, index, **options) == []
    assert [each.kind for each in judged(table, search, index)] == ["different"]


def test_what_is_on_one_side_alone_is_missing_or_extraneous(make_table: Make, search: str, index: str) -> None:
    table = make_table()
    for name in ("here", "gone", "twice"):
        table.put({"id": {"S": name}})
    put(search, index, "1", '{"id": "gone", "_order": 7, "_gone": "2026-01-01T00:00:00Z"}')
    put(search, index, "2", '{"id": "twice"}')
    put(search, index, "3", '{"id": "twice"}')
    put(search, index, "4", '{"id": "elsewhere"}')
    put(search, index, "5", '{"no": "key"}')
    put(search, index, "6", '{"id": "never there", "_gone": "2026-01-01T00:00:00Z"}')
    found = judged(table, search, index)
    missing = [difference.key for difference in found if difference.kind == "missing"]
    assert sorted(key["id"]["S"] for key in missing if key) == ["gone", "here"]
    extraneous = {difference.id for difference in found if difference.kind == "extraneous"}
    assert extraneous == {"4", "5", "3"}
    assert len(found) == 5


def test_attributes_can_be_left_out_and_numbers_be_text(make_table: Make, search: str, index: str) -> None:
    table = make_table()
    table.put({"id": {"S": "a"}, "n": {"N": "1"}, "m": {"M": {"n": {"N": "2"}}}, "stamp": {"S": "x"}})
    put(search, index, "1", '{"id": "a", "n": "1", "m": {"n": "2.0"}}')
    assert [difference.kind for difference in judged(table, search, index)] == ["different"]
    assert judged(table, search, index, left_out=["stamp"], as_text=["n", "m.n"]) == []
    assert [each.kind for each in judged(table, search, index, left_out=["stamp"], as_text=["n"])] == [
        "different"
    ]


def test_keys_of_every_type_are_found(make_table: Make, search: str, index: str) -> None:
    table = make_table(hash_type="B", hash_name="b", range_type="N", range_name="n")
    table.put({"b": {"B": b"a"}, "n": {"N": "1"}}, {"b": {"B": b"a"}, "n": {"N": "2"}})
    put(search, index, "1", '{"b": "YQ==", "n": 1}')
    put(search, index, "2", '{"b": "YQ==", "n": "2"}')
    assert [(each.kind, each.id) for each in judged(table, search, index)] == [("different", "2")]
    put(search, index, "1", '{"b": "YQ==", "n": "1"}')
    put(search, index, "3", '{"b": "YQ==", "n": "no number"}')
    assert [each.id for each in judged(table, search, index, as_text=["n"])] == ["3"]
    ask(search, "DELETE", f"/{index}/_doc/3")
    assert judged(table, search, index, as_text=["n"]) == []


def test_items_without_a_document_are_not_missed(make_table: Make, search: str, index: str) -> None:
    table = make_table()
    table.put({"id": {"S": "a"}}, {"id": {"S": "b"}, "hidden": {"BOOL": True}})
    put(search, index, "1", '{"id": "a"}')
    assert [each.kind for each in judged(table, search, index)] == ["missing"]
    assert judged(table, search, index, wanted=lambda item: "hidden" not in item) == []


def test_more_documents_than_a_page_are_read(make_table: Make, search: str, index: str) -> None:
    table = make_table(rows=3)
    lines = "".join(f'{{"index":{{}}}}\n{json.dumps({"id": f"extra-{number}"})}\n' for number in range(2_500))
    assert ask(search, "POST", f"/{index}/_bulk", lines.encode())[1]["errors"] is False
    kinds = [difference.kind for difference in judged(table, search, index)]
    assert (kinds.count("missing"), kinds.count("extraneous")) == (3, 2_500)
