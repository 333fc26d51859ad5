"""What the history of a root's current run tells, event by event."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from activities.look import shard_name
from commands.temporal.history import history_of
from reindexer.connect import DATA_CONVERTER
from reindexer.models import Counts, HandBack, Looked, Seen, ShardReport, Situation
from reindexer.tally import Tally
from tests.stand_in import RUN, a_plan, an_account


class History:
    """A history that is written here, and the client and handle that read it."""

    data_converter = DATA_CONVERTER

    def __init__(self) -> None:
        self._events: list[HistoryEvent] = []

    def get_workflow_handle(self, _job: str) -> History:
        return self

    async def fetch_history_events(self) -> Any:
        for event in self._events:
            yield event

    def add(self) -> HistoryEvent:
        event = HistoryEvent(event_id=len(self._events) + 1)
        self._events.append(event)
        return event

    async def payloads(self, value: Any) -> Payloads:
        return Payloads(payloads=await self.data_converter.encode([value]))

    async def activity(self, name: str, result: Any) -> None:
        asked = self.add()
        asked.activity_task_scheduled_event_attributes.activity_type.name = name
        done = self.add().activity_task_completed_event_attributes
        done.scheduled_event_id = asked.event_id
        done.result.CopyFrom(await self.payloads(result))

    async def looked(self, index: int, history_of: int, running: int) -> None:
        seen = Seen(
            situation=Situation(summary=an_account(history_of)),
            running=Counts(tally=Tally(scanned=running, updated=running)),
        )
        await self.activity("look", Looked(shards={index: seen}))

    async def history_of(self) -> Any:
        client: Any = self
        reader: Client = client
        return await history_of(reader, "job")

    def started(self, name: str) -> None:
        begun = self.add().start_child_workflow_execution_initiated_event_attributes
        begun.workflow_id = f"job/{RUN}/{name}"

    async def ended(self, name: str, back: HandBack) -> None:
        ended = self.add().child_workflow_execution_completed_event_attributes
        ended.workflow_execution.workflow_id = f"job/{RUN}/{name}"
        ended.result.CopyFrom(await self.payloads(back))


def test_shards_are_named_by_their_number_however_often_they_were_started() -> None:
    assert shard_name(f"a/b/{RUN}/shard-007-again-2") == ("shard-007", 7)
    assert shard_name(f"a/b/{RUN}/verify-012") == ("verify-012", 12)


async def test_a_shard_is_known_by_its_hand_back_else_by_what_was_last_seen() -> None:
    history = History()
    await history.activity("make_plan", a_plan())
    for name in ("shard-000", "shard-001"):
        history.started(name)
    await history.looked(0, history_of=5, running=2)
    await history.looked(1, history_of=5, running=2)
    await history.ended("shard-000", HandBack(how="done", summary=an_account(10)))
    await history.looked(0, history_of=5, running=4)  # what was seen before it ended, noted after
    signal = history.add().workflow_execution_signaled_event_attributes
    signal.signal_name = "shard_report"
    report = ShardReport(index=1, acknowledged=3, situation=Situation(state="parked", summary=an_account(9)))
    signal.input.CopyFrom(await history.payloads(report))
    known = await history.history_of()
    assert known.plan == a_plan()
    assert (known.cycle, known.started_at) == (0, None)
    shards = {name: (s.summary.counts.tally.scanned, s.done, s.open) for name, s in known.shards.items()}
    assert shards == {"shard-000": (10, True, False), "shard-001": (9, False, True)}


async def test_a_shard_that_was_started_again_is_the_same_and_one_that_verifies_is_another() -> None:
    history = History()
    history.started("shard-001")
    await history.ended("shard-001", HandBack(how="yielded", summary=an_account(10)))
    history.started("shard-001-again-2")
    history.started("verify-001")
    await history.looked(1, history_of=3, running=1)
    known = await history.history_of()
    scanned = {name: shard.summary.counts.tally.scanned for name, shard in known.shards.items()}
    assert scanned == {"shard-001": 10, "verify-001": 4}


async def test_what_another_version_wrote_is_passed_over() -> None:
    history = History()
    await history.activity("make_plan", {"run": "x", "new": 1})
    await history.activity("look", "nonsense")
    history.started("shard-000")
    known = await history.history_of()
    assert known.plan is None
    assert list(known.shards) == ["shard-000"]
