"""Keys: on the wire, between processes, and when two are one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reindexer.items import from_json_key, key_identity, key_text, to_json_key

_digits = st.integers(-(10**38) + 1, 10**38 - 1).map(str)
_values = st.one_of(
    st.text(min_size=1).map(lambda text: {"S": text}),
    _digits.map(lambda number: {"N": number}),
    st.binary(min_size=1).map(lambda raw: {"B": raw}),
)
keys = st.dictionaries(st.text(min_size=1), _values, min_size=1, max_size=2)


@given(keys)
def test_a_key_survives_the_way_through_json(key: dict[str, Any]) -> None:
    there = json.loads(json.dumps(to_json_key(key)))
    assert from_json_key(there) == key
    assert key_identity(from_json_key(there)) == key_identity(key)


@pytest.mark.parametrize("same", ["1", "1.0", "1E0", "0.1E1", "01", "+1"])
def test_one_number_in_many_spellings_is_one_key(same: str) -> None:
    assert key_identity({"id": {"N": same}}) == key_identity({"id": {"N": "1"}})


@given(_digits, _digits)
def test_two_numbers_are_two_keys_up_to_the_last_of_38_digits(one: str, other: str) -> None:
    same = key_identity({"id": {"N": one}}) == key_identity({"id": {"N": other}})
    assert same == (Decimal(one) == Decimal(other))


def test_numbers_that_differ_in_the_38th_digit_only_are_two_keys() -> None:
    assert key_identity({"id": {"N": "1" * 37 + "1"}}) != key_identity({"id": {"N": "1" * 37 + "2"}})


def test_the_type_of_a_value_and_the_name_of_its_attribute_belong_to_the_key() -> None:
    assert len({key_identity(key) for key in ({"a": {"S": "1"}}, {"a": {"N": "1"}}, {"b": {"S": "1"}})}) == 3


def test_the_order_of_the_attributes_does_not_matter() -> None:
    one, other = {"a": {"S": "x"}, "b": {"N": "1"}}, {"b": {"N": "1.0"}, "a": {"S": "x"}}
    assert key_identity(one) == key_identity(other)
    assert key_text({"a": {"S": "x"}, "b": {"N": "1"}}) == key_text({"b": {"N": "1"}, "a": {"S": "x"}})


def test_a_keys_text_is_for_people() -> None:
    assert key_text({"name": {"S": "Zürich"}}) == '{"name":{"S":"Zürich"}}'
