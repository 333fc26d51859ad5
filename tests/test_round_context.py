"""Heartbeats of an attempt: how often, what cannot wait, and what ends it where no one answers them."""

from __future__ import annotations

import time
from itertools import pairwise

from temporalio.testing import ActivityEnvironment

from activities.guard import Guard
from activities.round_context import TemporalContext
from reindexer.clocks import CLOCKS
from reindexer.models import Progress
from reindexer.tally import Tally


def test_heartbeats_are_rare_but_for_what_cannot_wait() -> None:
    sent: list[int] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: sent.append(details[0].tally.scanned)

    times_asked = iter(range(10))

    def attempt() -> None:
        context = TemporalContext(10, Guard())
        context.heartbeat(lambda: Progress(tally=Tally(scanned=next(times_asked))))
        for _ in range(100):
            context.heartbeat()
        context.heartbeat(immediate=True)

    environment.run(attempt)
    assert sent == [0, 1]


def test_a_round_at_rest_sends_few_and_the_next_one_at_once_when_something_comes() -> None:
    sent: list[float] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: sent.append(time.monotonic())

    def attempt() -> None:
        context = TemporalContext(2.5, Guard())  # a second apart at rest, two fifths of it
        context.rest(True)
        began = time.monotonic()
        while time.monotonic() < began + 2.3:
            context.heartbeat()
            time.sleep(0.02)
        before = len(sent)
        context.rest(False)
        time.sleep(0.2)
        context.heartbeat()
        assert (before, len(sent)) == (3, 4), "at 0, 1 and 2 s; then 0.5 s after the last"

    environment.run(attempt)
    assert all(later - earlier >= 0.4 for earlier, later in pairwise(sent))


def test_an_attempt_whose_process_temporal_does_not_answer_stops_for_good() -> None:
    guard = Guard()

    def attempt() -> None:
        context = TemporalContext(0.1, guard)
        assert not context.stopping(), "before anybody asks Temporal nothing is known against the process"
        guard.answered_at = CLOCKS.now() - 5
        assert not context.stopping(), "Temporal handed this attempt out just now"
        while not context.stopping():
            context.heartbeat()
            time.sleep(0.01)
        assert context.stale(), "it must not write"
        guard.answered_at = CLOCKS.now()
        assert context.stopping(), "the server has given it up"
        assert not TemporalContext(0.1, guard).stopping(), "the next one works"

    ActivityEnvironment().run(attempt)
