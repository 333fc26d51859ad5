"""Heartbeats of an attempt: how often, what cannot wait, and what ends it where nobody answers them."""

from __future__ import annotations

import time

from temporalio.testing import ActivityEnvironment

from activities.guard import Guard
from activities.pulse import TemporalPulse
from reindexer.models import Progress
from reindexer.tally import Tally


def test_heartbeats_are_rare_but_for_what_cannot_wait() -> None:
    sent: list[int] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: sent.append(details[0].tally.scanned)

    times_asked = iter(range(10))

    def attempt() -> None:
        pulse = TemporalPulse(10, Guard())
        pulse.beat(lambda: Progress(tally=Tally(scanned=next(times_asked))))
        for _ in range(100):
            pulse.beat()
        pulse.beat(at_once=True)

    environment.run(attempt)
    assert sent == [0, 1]


def test_an_attempt_whose_process_temporal_does_not_answer_stops_for_good() -> None:
    guard = Guard()

    def attempt() -> None:
        pulse = TemporalPulse(0.1, guard)
        assert not pulse.stopping(), "before anybody asks Temporal nothing is known against the process"
        guard.answered_at = time.monotonic() - 5
        assert not pulse.stopping(), "Temporal handed this attempt out just now"
        while not pulse.stopping():
            pulse.beat()
            time.sleep(0.01)
        assert pulse.stale(), "it must not write"
        guard.answered_at = time.monotonic()
        assert pulse.stopping(), "the server has given it up"
        assert not TemporalPulse(0.1, guard).stopping(), "the next one works"

    ActivityEnvironment().run(attempt)
