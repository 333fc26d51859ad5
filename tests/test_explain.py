"""A wrong input in one clear sentence."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reindexer.explain import explain
from reindexer.models import (
    JobInput,
)

# ── Wrong input in words ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "table: is missing"),
        ({"tabel": "c"}, "tabel: is not a known field (did you mean table?)"),
        (
            {"table": "c", "limits": {"quarantned": 1}},
            "limits.quarantned: is not a known field (did you mean quarantined?)",
        ),
        (
            {"table": "c", "scope": {"kind": "sample", "limt": 3}},
            "scope.limt: is not a known field (did you mean limit?)",
        ),
        (
            {"table": "c", "operation": {"kind": "touch", "version": 0}},
            'operation.version: 0 is not valid; it must be a number of at least 1 or "next"',
        ),
        (
            {"table": "c", "limits": {"quarantined": -1}},
            "limits.quarantined: -1 is not valid; it must be a number of at least 0",
        ),
        (
            {"table": "c", "limits": {"records_per_second": -5}},
            'limits.records_per_second: -5 is not valid; it must be a number of at least 0.01 or "unlimited"',
        ),
        ({"table": 7}, "table: 7 is not valid; it must be a string"),
        (
            {"table": "c", "operation": {"kind": "toutch"}},
            'operation.kind: "toutch" is unknown; it must be touch, transform, verify, unstamp, compare, '
            "repair, index, refresh or replicate (did you mean touch?)",
        ),
        (
            {"table": "c", "operation": {"kind": "refresh", "to": {"table": "d", "regoin": "eu-west-1"}}},
            "operation.to.regoin: is not a known field (did you mean region?)",
        ),
        (
            {"table": "c", "operation": {"kind": "refresh", "to": {"alias": "d"}}},
            "operation.to.search: is missing",
        ),
        (
            {"table": "c", "scope": {"kind": "everything"}},
            'scope.kind: "everything" is unknown; it must be complete, sample, keys, partitions or quarantined',
        ),
        (
            {"table": "c", "scope": {}},
            "scope.kind: is missing; it must be complete, sample, keys, partitions or quarantined",
        ),
        (
            {"table": "c", "scope": {"kind": "keys", "keys": [{"id": 1.0}]}},
            "scope.keys[0].id: 1.0 is not valid; it must be a string or an integer",
        ),
        (
            {"table": "c", "attributes": {"version": "a", "run": "a"}},
            "attributes: version and run must be two different attributes",
        ),
        ("cities", '"cities" is not valid; it must be an object'),
    ],
)
def test_a_wrong_input_is_explained(given: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        JobInput.model_validate(given)
    assert explain(error.value) == sentence


def test_several_wrong_fields_are_named_together() -> None:
    with pytest.raises(ValidationError) as error:
        JobInput.model_validate({"table": "", "total_segments": 500, "verify": "x", "sweep": "x", "reason": 3})
    text = explain(error.value)
    assert text.startswith("table: ")
    assert "total_segments: 500 is not valid; it must be a number of at most 400" in text
    assert text.endswith("and 2 more")
