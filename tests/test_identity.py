"""Whether the table is still the planned one: how often a process asks, and what an answer is good for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from activities import identity
from activities.identity import Identities
from reindexer.models import Stop, Target
from tests.driving import FakeContext, target
from tests.model_table import Clock

TARGET = target()


class Describing:
    """Clients with one table. `open` lets its answers out."""

    def __init__(self) -> None:
        self.table_id, self.asked = TARGET.table_id, 0
        self.open = threading.Event()
        self.open.set()

    def table(self, _target: Target) -> _Table:
        return _Table(self)

    def answer(self) -> dict[str, Any]:
        self.asked += 1
        assert self.open.wait(10)
        return {"Table": {"TableArn": TARGET.table_arn, "TableId": self.table_id}}


class _Table:
    def __init__(self, describing: Describing) -> None:
        self._describing, self.table = describing, TARGET.table

    def call(self, operation: str, **_: Any) -> dict[str, Any]:
        assert operation == "describe_table"
        return self._describing.answer()


@pytest.fixture
def describing() -> Describing:
    return Describing()


@pytest.fixture
def identities(describing: Describing) -> Identities:
    return Identities(describing)  # type: ignore[arg-type]


def context() -> FakeContext:
    return FakeContext(Clock())


def wait_until_asked(describing: Describing, times: int) -> None:
    for _ in range(500):
        if describing.asked >= times:
            return
        time.sleep(0.01)
    raise AssertionError(f"asked {describing.asked} times, not {times}")


def test_an_answer_serves_all_that_begins_within_seconds(
    identities: Identities, describing: Describing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [identities.trouble_before(TARGET, context()) for _ in range(3)] == [None] * 3
    assert describing.asked == 1
    monkeypatch.setattr(identity, "_FRESH_SECONDS", 0.0)
    identities.trouble_before(TARGET, context())
    assert describing.asked == 2


def test_the_end_of_work_is_never_judged_by_an_answer_from_before_it(
    identities: Identities, describing: Describing
) -> None:
    identities.trouble_before(TARGET, context())
    describing.table_id = "another"
    assert identities.trouble_before(TARGET, context()) is None
    found = identities.trouble_after(TARGET, context())
    assert found is not None
    assert found.stop is Stop.FAULT
    assert found.fault is not None
    assert found.fault.code == "TableReplaced"


def test_a_wave_of_rounds_asks_once_at_its_beginning_and_twice_at_most_at_its_end(
    identities: Identities, describing: Describing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_PATIENCE_SECONDS", 10.0)  # a busy machine is no reason to ask
    with ThreadPoolExecutor(8) as pool:
        began = list(pool.map(lambda _: identities.trouble_before(TARGET, context()), range(8)))
        assert (began, describing.asked) == ([None] * 8, 1)
        describing.open.clear()
        ends = [pool.submit(identities.trouble_after, TARGET, context()) for _ in range(8)]
        wait_until_asked(describing, 2)
        time.sleep(0.2)  # all have come, while the first was asking
        describing.open.set()
        assert [end.result() for end in ends] == [None] * 8
    assert describing.asked == 3, "what was asked before the others had ended proves nothing for them"


def test_what_begins_on_a_known_answer_does_not_wait_for_one_who_asks(
    identities: Identities, describing: Describing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_PATIENCE_SECONDS", 60.0)
    identities.trouble_before(TARGET, context())
    describing.open.clear()
    with ThreadPoolExecutor(2) as pool:
        end = pool.submit(identities.trouble_after, TARGET, context())
        wait_until_asked(describing, 2)
        beginning = pool.submit(identities.trouble_before, TARGET, context())
        assert beginning.result(timeout=5) is None
        assert not end.done()
        describing.open.set()
        assert end.result() is None


def test_trouble_is_not_remembered(identities: Identities, describing: Describing) -> None:
    describing.table_id = "another"
    assert identities.trouble_before(TARGET, context()) is not None
    describing.table_id = TARGET.table_id
    assert identities.trouble_before(TARGET, context()) is None


def test_no_one_waits_for_long_for_one_who_gets_no_answer(
    identities: Identities, describing: Describing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_PATIENCE_SECONDS", 0.05)
    describing.open.clear()
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(identities.trouble_before, TARGET, context()) for _ in range(2)]
        wait_until_asked(describing, 2)
        describing.open.set()
        assert [one.result() for one in both] == [None, None]
