"""Work begins only while the job holds its lock, and a ledger that does not answer is waited for."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from activities import lock_held
from activities.clients import Clients
from activities.lock_held import LockHeld
from reindexer.errors import EnvironmentFault, Refused, Unavailable
from reindexer.models import LockInput, Stop
from tests.driving import FakeContext
from tests.model_table import Clock

LOCK = LockInput(
    table_arn="arn",
    version_attribute="reindexVersion",
    workflow_id="job-a",
    run_id="id-a",
    namespace="default",
    run="r1",
)


class Locks:
    """Gives its answer once it may."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.asked, self.may = list(answers), 0, threading.Event()
        self.may.set()

    def lost(self, _: LockInput) -> str:
        self.asked += 1
        assert self.may.wait(10)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def asking(ledger: Locks) -> LockHeld:
    return LockHeld(cast(Clients, SimpleNamespace(ledger=SimpleNamespace(locks=ledger))))


def context(**more: Any) -> FakeContext:
    return FakeContext(Clock(), **more)


def test_an_answer_serves_for_a_second_and_only_a_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Locks("", "by no one", "by no one")
    holds = asking(ledger)
    assert [holds.trouble_before(LOCK, context()) for _ in range(3)] == [None] * 3
    assert ledger.asked == 1
    monkeypatch.setattr(lock_held, "_FRESH_SECONDS", 0.0)
    for _ in range(2):
        trouble = holds.trouble_before(LOCK, context())
        assert trouble is not None
        assert trouble.fault is not None
        assert (trouble.stop, trouble.fault.code, trouble.fault.message) == (
            Stop.FAULT,
            "LockLost",
            "by no one",
        )


def test_who_needs_no_lock_is_not_asked_for_it() -> None:
    ledger = Locks()
    assert asking(ledger).trouble_before(None, context()) is None
    assert ledger.asked == 0


@pytest.mark.parametrize(
    ("error", "stop", "code"),
    [
        (Unavailable("LedgerUnavailable", "no answer"), Stop.UNAVAILABLE, None),
        (EnvironmentFault("LedgerDenied", "no"), Stop.FAULT, "LedgerDenied"),
        (Refused("it is gone", "LedgerMissing"), Stop.FAULT, "LedgerMissing"),
    ],
)
def test_a_ledger_that_cannot_be_asked_is_no_lost_lock(error: Exception, stop: Stop, code: str | None) -> None:
    trouble = asking(Locks(error)).trouble_before(LOCK, context())
    assert trouble is not None
    assert (trouble.stop, trouble.fault and trouble.fault.code) == (stop, code)


def test_while_the_ledger_is_silent_the_attempt_beats_and_can_be_asked_to_stop() -> None:
    ledger = Locks("")
    ledger.may.clear()
    beating = context(stop_at=3)
    trouble = asking(ledger).trouble_before(LOCK, beating)
    ledger.may.set()
    assert trouble is not None
    assert (trouble.stop, beating.beats) == (Stop.ASKED, 3)
