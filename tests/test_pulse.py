"""Heartbeats of an attempt: how often, and what cannot wait."""

from __future__ import annotations

from temporalio.testing import ActivityEnvironment

from activities.pulse import TemporalPulse
from reindexer.models import Progress
from reindexer.tally import Tally


def test_heartbeats_are_rare_but_for_what_cannot_wait() -> None:
    sent: list[int] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: sent.append(details[0].tally.scanned)

    times_asked = iter(range(10))

    def attempt() -> None:
        pulse = TemporalPulse(heartbeat_timeout=10)
        pulse.beat(lambda: Progress(tally=Tally(scanned=next(times_asked))))
        for _ in range(100):
            pulse.beat()
        pulse.beat(at_once=True)

    environment.run(attempt)
    assert sent == [0, 1]
