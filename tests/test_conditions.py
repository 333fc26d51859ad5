"""Queries evaluated here find what a real engine finds; values go to the wire and back without loss."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from reindexer import Attr, Key, Name
from reindexer.jobs.conditions import BadQuery, built, compiled, dotted, named
from reindexer.jobs.row import Row
from reindexer.values import EXACT, InvalidValue, item_size, plain, same, wire, wire_item
from tests.tables import Table

ROWS: list[dict[str, Any]] = [
    {"n": 1}, {"n": Decimal("1.0")}, {"n": -1}, {"n": "1"}, {"n": None}, {"n": True}, {"n": b"1"}, {},
    {"s": "ulm"}, {"s": "Ulm"}, {"s": ""}, {"s": "zürich"}, {"s": "\U0001f600"}, {"s": {"ulm", "bonn"}},
    {"s": ["ulm", 1]}, {"m": {"a": [{"b": 5}]}}, {"m": {"a": "x"}}, {"m": {}}, {"n": {1, 2}},
    {"n": {Decimal("1")}}, {"n": 5, "s": "ulm", "o": 5}, {"n": 5, "o": 6}, {"b": b"\x00\xff"},
    {"b": {b"\x00", b"a"}}, {"a.txt": 1, "x[0]": "y", "[": 2, "]": 3, "%s": 4}, {"a": {"txt": 1}, "x": ["y"]},
    {"m": {"a.txt": ["y", {"b[1]": 5}]}}, {"a.txt": 2, "n": 2},
]  # fmt: skip
CONDITIONS = [
    Attr("n").eq(1), Attr("n").ne(1), Attr("n").lt(2), Attr("n").lte(1), Attr("n").gt(0), Attr("n").gte(5),
    Attr("n").between(-1, 1), Attr("n").is_in([1, "1", None]), Attr("n").exists(), Attr("n").not_exists(),
    Attr("s").begins_with("ul"), Attr("s").contains("lm"), Attr("s").contains("ulm"), Attr("s").eq(""),
    Attr("s").lt("v"), Attr("s").size().gte(2), Attr("s").size().eq(1), Attr("b").size().eq(2),
    Attr("s").attribute_type("SS"), Attr("n").attribute_type("NULL"), Attr("m.a[0].b").eq(5),
    Attr("m.a").exists(), Attr("m").eq({"a": "x"}), Attr("n").eq({1, 2}), Attr("n").contains(1),
    Attr("n").eq(Attr("o")), Attr("n").lt(Attr("o")), ~Attr("n").eq(1),
    ~(Attr("n").exists() | Attr("s").exists()),
    Attr("n").eq(5) & Attr("s").eq("ulm"), Attr("b").begins_with(b"\x00"), Attr("b").contains(b"a"),
    Name("a.txt").eq(1), Attr("a.txt").eq(1), Name("a.txt").eq(Attr("n")), Name("x[0]").eq("y"),
    Attr("x[0]").eq("y"), Name("a", "txt").eq(1), Name("x", 0).eq("y"), Name("[").eq(2), Name("]").exists(),
    Name("%s").gte(4), ~Name("a.txt").exists() & Attr("a").exists(), Name("m", "a.txt", 0).eq("y"),
    Name("m", "a.txt", 1, "b[1]").between(5, 6), Name("a.txt").is_in([2]), Name("x").size().eq(1),
    Attr("n").eq(True), Attr("n").eq(None), Key("id").begins_with("row-00000"), Attr("s").ne("ulm"),
]  # fmt: skip


def test_queries_find_here_what_the_engine_finds(each_engine: Any, make_table: Callable[..., Table]) -> None:
    table = make_table()
    rows = [wire_item({"id": f"row-{number:06}", **row}) for number, row in enumerate(ROWS)]
    table.put(*rows)
    differing = []
    for condition in CONDITIONS:
        expression, names, values = built(condition)
        asked: dict[str, Any] = {"FilterExpression": expression, "ExpressionAttributeNames": names}
        if values:
            asked["ExpressionAttributeValues"] = values
        try:
            found = table.client.scan(TableName=table.name, **asked)["Items"]
        except ClientError:
            assert "begins_with" in expression  # one engine knows it for strings alone
            continue
        there = {row["id"]["S"] for row in found}
        test = compiled(condition)
        here = {row["id"]["S"] for row in rows if test(row)}
        if each_engine.name == "ministack" and expression == "#n0 = #n1":
            there &= {row["id"]["S"] for row in rows if "n" in row}  # it takes two missing attributes for equal
        if there != here:
            differing.append((expression, values, sorted(there - here), sorted(here - there)))
    assert differing == []


def test_the_attributes_of_a_query_are_known() -> None:
    assert named(Attr("a.b[0]").eq(Attr("c")) & ~Attr("d").size().gt(1)) == {"a", "c", "d"}


def test_a_name_is_an_attribute_whatever_is_in_it() -> None:
    query = Name("a.b").eq(Name("c[0]", "d.e", 1)) & Attr("f.g").exists()
    assert named(query) == {"a.b", "c[0]", "f"}
    assert dotted(query) >= {"f.g"}
    assert not dotted(query) & {"a.b", "c[0]"}
    expression, names, _ = built(query)
    assert expression == "(#n0 = #n1.#n2[1] AND attribute_exists(#n3.#n4))"
    assert list(names.values()) == ["a.b", "c[0]", "d.e", "f", "g"]


@pytest.mark.parametrize("name", ["a[b]", "a[", "a[0", "a[0]b", "a[-1]", "a[1.5]"])
def test_what_is_no_path_is_named(name: str) -> None:
    for use in (compiled, named):
        with pytest.raises(BadQuery, match=r"is not a path; where it is an attribute's name, write Name\("):
            use(Attr(name).eq(1))


@pytest.mark.parametrize("query", [True, "a = 1", Attr("a"), Attr("a").eq(1.5), Attr("a").eq(object())])
def test_what_is_no_condition_is_refused(query: Any) -> None:
    with pytest.raises(BadQuery):
        built(query)


numbers = st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20)
scalars = (
    st.text(max_size=5) | st.booleans() | st.none() | st.binary(max_size=5) | numbers.map(EXACT.create_decimal)
)
sets = (
    st.frozensets(st.text(max_size=3), min_size=1, max_size=3)
    | st.frozensets(st.integers(-9, 9).map(Decimal), min_size=1, max_size=3)
    | st.frozensets(st.binary(max_size=3), min_size=1, max_size=3)
)
values = st.recursive(
    scalars | sets,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(frozen(entry) for entry in value)
    return MappingProxyType({k: frozen(v) for k, v in value.items()}) if isinstance(value, dict) else value


@given(values)
def test_every_value_goes_to_the_wire_and_back(value: Any) -> None:
    there = wire(value)
    assert plain(there) == frozen(value)
    assert same(wire(plain(there)), there)
    assert item_size({"a": there}) >= 1


def test_an_item_is_read_only_through_and_through() -> None:
    row = Row(wire_item({"id": "a", "list": [1, {"a": {1}}], "run": "x"}), frozenset({"run"}))
    plain: Any = row  # as a job's function, which has no types, would treat it
    changes: list[Callable[[], Any]] = [
        lambda: plain["list"].append(1),
        lambda: plain["list"][1].update(a=1),
        lambda: plain["list"][1]["a"].add(1),
        lambda: plain.update(a=1),
    ]
    for change in changes:
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(TypeError):
        row["id"] = "b"  # type: ignore[index]
    assert dict(row).keys() == {"id", "list"}
    assert "run" not in row


def test_looking_at_an_attribute_is_noted_also_when_it_is_missing() -> None:
    row = Row(wire_item({"id": "a", "b": 1, "c": 2}))
    assert (row.get("x"), "y" in row, row["b"]) == (None, False, 1)
    assert row.seen == {"x", "y", "b"}
    assert len(row) == 3
    assert row.seen == {"x", "y", "b", "id", "c"}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": [1, 2.5]}, r"v.a\[1\]: 2.5 is a float"), (set(), "an empty set"), ({1, "a"}, "hold one type"),
        (Decimal("NaN"), "not a finite number"), (10**126, "beyond DynamoDB's numbers"),
        ({1: 2}, "is not a string"),
        (int("1" * 39), "more than 38 digits"), ({(1, 2)}, "a set of tuple"),
    ],
)  # fmt: skip
def test_what_dynamodb_refuses_is_named_with_its_path(value: Any, says: str) -> None:
    with pytest.raises(InvalidValue, match=says):
        wire(value, "v")
