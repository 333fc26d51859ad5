"""Documents, their IDs and the mapping: without loss, by field, different for different keys."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.errors import BadInput, RecordFailed
from reindexer.items import key_identity
from reindexer.models import KeyAttribute
from reindexer.search.document_ids import MAX_ID_BYTES, id_of, key_of
from reindexer.search.documents import Documents, with_order
from reindexer.search.mapping import fields_of, mapping_from, numbers_as_text, with_own_fields

pytestmark = pytest.mark.unit

HASH = [KeyAttribute(name="id", type="S")]
BOTH = [*HASH, KeyAttribute(name="at", type="S")]


def read(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal, parse_int=Decimal)


def test_an_item_is_a_document_without_loss() -> None:
    item: dict[str, Any] = {
        "id": {"S": 'Zürich "\u2028'},
        "long": {"N": "12345678901234567890123456789012345678"},
        "small": {"N": "-1.5E-100"},
        "yes": {"BOOL": True},
        "none": {"NULL": True},
        "raw": {"B": b"\x00\xff"},
        "within": {"M": {"a": {"L": [{"N": "1"}, {"S": "x"}]}}},
        "words": {"SS": ["b", "a"]},
        "numbers": {"NS": ["10", "9"]},
        "blobs": {"BS": [b"b", b"a"]},
    }
    assert read(Documents().of_item(item)) == {
        "id": 'Zürich "\u2028',
        "long": Decimal("12345678901234567890123456789012345678"),
        "small": Decimal("-1.5E-100"),
        "yes": True,
        "none": None,
        "raw": "AP8=",
        "within": {"a": [1, "x"]},
        "words": ["a", "b"],
        "numbers": [9, 10],
        "blobs": ["YQ==", "Yg=="],
    }


def test_a_number_is_text_by_its_field_and_by_nothing_else() -> None:
    mapping = {"properties": {"code": {"type": "keyword"}, "in": {"properties": {"n": {"type": "text"}}}}}
    documents = Documents(as_text=numbers_as_text(mapping))
    inner: dict[str, Any] = {"n": {"NS": ["2"]}, "code": {"N": "3"}}
    item: dict[str, Any] = {"code": {"N": "1"}, "n": {"N": "1"}, "in": {"M": inner}}
    assert read(documents.of_item(item)) == {"code": "1", "n": 1, "in": {"n": ["2"], "code": 3}}


@pytest.mark.parametrize("written", ["+1", ".5", "1.", "01"])
def test_a_number_as_an_engine_writes_it_is_a_number_of_json(written: str) -> None:
    assert read(Documents().of_item({"n": {"N": written}})) == {"n": Decimal(written)}


@pytest.mark.parametrize("name", ["_order", "_gone"])
def test_an_attribute_called_as_a_field_of_ours_fails_its_record(name: str) -> None:
    with pytest.raises(RecordFailed, match=name):
        Documents().of_item({name: {"S": "x"}})
    assert Documents(left_out=["v"]).of_item({"v": {"N": "1"}}) == b"{}"


def test_what_a_job_returns_keeps_every_digit() -> None:
    document = {
        "n": Decimal("1.10"),
        "f": 0.1,
        "i": 2**70,
        "b": b"\xff",
        "s": {"x"},
        "t": (1, None),
        "m": {"a": True},
    }
    assert read(Documents().of_fields(document)) == {
        "n": Decimal("1.10"), "f": Decimal("0.1"), "i": 2**70, "b": "/w==", "s": ["x"], "t": [1, None],
        "m": {"a": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"a": float("nan")}, "a: nan is not a number"),
        ({"a": Decimal("Infinity")}, "a: Infinity is not a number"),
        ({"a": {"b": object()}}, "a.b: JSON has no object"),
        ({1: "x"}, "document: 1 is not a field's name"),
        ({"a": {"": 1}}, "a: '' is not a field's name"),
        ({"a": "\ud800"}, "a: not valid text"),
        ({"_gone": 1}, "_gone is a field of the reindexer"),
    ],
)
def test_what_json_has_not_is_the_records_failure(document: Any, sentence: str) -> None:
    with pytest.raises(RecordFailed) as failed:
        Documents().of_fields(document)
    assert failed.value.code == "InvalidResult"
    assert sentence in failed.value.message


def test_a_document_nested_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(RecordFailed, match="nested deeper"):
        Documents().of_fields(endless)


@pytest.mark.parametrize("body", [b"{}", b'{"a":1}'])
def test_the_order_is_in_the_document(body: bytes) -> None:
    assert json.loads(with_order(body, 2**62, "2026-01-01T00:00:00Z"))["_order"] == 2**62
    assert set(json.loads(with_order(None, 7, "2026-01-01T00:00:00Z"))) == {"_order", "_gone"}


# ── IDs ────────────────────────────────────────────────────────────────────────────────────────────────────


def key(first: str, second: str) -> dict[str, Any]:
    return {"id": {"S": first}, "at": {"S": second}}


TEXT = st.text(alphabet="a|\\:", min_size=1, max_size=4) | st.text(min_size=1, max_size=300)


@given(TEXT, TEXT, TEXT, TEXT)
def test_different_keys_have_different_ids(a: str, b: str, c: str, d: str) -> None:
    assert (id_of(key(a, b), BOTH) == id_of(key(c, d), BOTH)) == ((a, b) == (c, d))
    assert len(id_of(key(a, b), BOTH).encode()) <= MAX_ID_BYTES


@given(TEXT, TEXT)
def test_the_key_is_known_again_by_the_id_or_else_by_the_document(a: str, b: str) -> None:
    """A job's fields may be called as key attributes: they are believed only where they give the ID."""
    found = id_of(key(a, b), BOTH)
    assert key_of(found, {"id": a, "at": b}, BOTH) == key(a, b)
    hashed = found.startswith("sha256:")
    assert key_of(found, {}, BOTH) == (None if hashed else key(a, b))
    assert not hashed or key_of(found, {"id": "other", "at": b}, BOTH) is None


@pytest.mark.parametrize(
    ("row", "kind"), [({"k": {"N": "1.50"}}, "N"), ({"k": {"B": b"\xff|"}}, "B"), ({"k": {"S": "a|b\\c"}}, "S")]
)
def test_a_key_of_one_attribute_is_known_again_by_its_id(row: dict[str, Any], kind: Any) -> None:
    schema = [KeyAttribute(name="k", type=kind)]
    found = key_of(id_of(row, schema), {}, schema)
    assert found is not None
    assert key_identity(found) == key_identity(row)


def test_an_id_that_nobody_here_has_made_has_no_key() -> None:
    assert key_of("x", {}, [KeyAttribute(name="n", type="N")]) is None
    assert key_of("not base64", {}, [KeyAttribute(name="b", type="B")]) is None
    assert key_of("a", {}, BOTH) is None


def test_an_id_is_the_value_and_one_for_each_number() -> None:
    assert id_of({"id": {"S": "ulm"}}, HASH) == "ulm"
    number = [KeyAttribute(name="n", type="N")]
    assert id_of({"n": {"N": "1.0"}}, number) == id_of({"n": {"N": "1E0"}}, number) == "1"
    assert id_of({"b": {"B": b"\xff"}}, [KeyAttribute(name="b", type="B")]) == "/w=="


def test_a_long_id_is_hashed_and_no_key_is_taken_for_one() -> None:
    long = id_of({"id": {"S": "x" * 2048}}, HASH)
    assert long.startswith("sha256:")
    assert id_of({"id": {"S": long}}, HASH) != long


# ── Mappings ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mapping_is_made_of_what_the_rows_hold() -> None:
    rows: list[Any] = [
        {
            "id": {"S": "a"},
            "n": {"N": "0.1"},
            "m": {"M": {"x": {"BOOL": True}}},
            "v": {"N": "1"},
            "mixed": {"S": "a"},
        },
        {"id": {"S": "b"}, "big": {"N": "12345678901234567890"}, "l": {"L": [{"N": "1"}]}, "mixed": {"N": "1"}},
        {"odd": {"M": {}}, "null": {"NULL": True}},
        {"odd": {"S": "x"}},
    ]
    properties = mapping_from(rows, ["v"])["properties"]
    assert {name: field.get("type") for name, field in properties.items()} == {
        "_order": "long", "_gone": "date", "id": "text", "n": "double", "m": None, "mixed": "keyword",
        "big": "keyword", "l": "double", "odd": "object",
    }  # fmt: skip
    assert properties["m"] == {"properties": {"x": {"type": "boolean"}}}
    assert properties["odd"]["enabled"] is False
    assert fields_of({"properties": properties}) == len(properties) + 2  # id.keyword, m.x


def test_a_users_mapping_gets_our_fields_and_may_not_bend_them() -> None:
    assert with_own_fields({"dynamic": "strict"})["properties"].keys() == {"_order", "_gone"}
    wrong: list[dict[str, Any]] = [
        {"properties": {"_order": {"type": "keyword"}}},
        {"properties": []},
        {"_source": {"enabled": False}},
    ]
    for mapping in wrong:
        with pytest.raises(BadInput, match=r"operation\.mapping"):
            with_own_fields(mapping)
