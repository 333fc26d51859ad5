"""Answers to the ledger that are damaged on the way, each time."""

from __future__ import annotations

from typing import Any

import pytest

from reindexer.errors import Unavailable
from reindexer.ledger import Ledger
from testbed.faults import Fault, FaultKind, FaultPlan, FaultProxy

pytest_plugins = ["tests.proxied"]


@pytest.mark.parametrize("kind", [FaultKind.BROKEN_JSON, FaultKind.TRUNCATED, FaultKind.WRONG_CRC32])
def test_an_item_whose_answer_is_damaged_is_not_missing(
    dynamodb: Any, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, kind: FaultKind
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint_url)
    ledger = Ledger(f"ledger-{kind.value}")
    ledger.store.create()
    ledger.store.call("put_item", Item={"pk": {"S": "p"}, "sk": {"S": "s"}})
    assert ledger.store.get("p", "s") is not None
    fault = Fault(kind=kind, probability=1.0, operations=frozenset(("GetItem",)))
    proxy.set_plan(FaultPlan(seed=1, faults=(fault,)))
    with pytest.raises(Unavailable):
        ledger.store.get("p", "s")
