"""What a job's histories tell: how many events it cost, and when each of its phases began and ended."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client


@dataclass(frozen=True)
class Activity:
    """One activity that completed. Times: seconds since the epoch, by the server's clock."""

    name: str
    scheduled: float
    started: float
    completed: float


@dataclass(frozen=True)
class Account:
    """The histories of the root and of all its children, over all runs of each, read whole."""

    events: int
    began: float
    ended: float
    activities: list[Activity]

    def window(self, name: str) -> tuple[float, float]:
        """From the first start of such an activity to the last one's end."""
        chosen = [activity for activity in self.activities if activity.name == name]
        return min(a.started for a in chosen), max(a.completed for a in chosen)

    def phases(self) -> dict[str, float]:
        """Seconds of each phase of a job, which sum to the workflow's own time."""
        first, last = self.window("reindex_round")
        verified = [a for a in self.activities if a.name == "verify_segment"]
        read = max((a.completed for a in verified), default=last)
        waits = [a.started - a.scheduled for a in self.activities if a.name == "reindex_round"]
        return {
            "planning": first - self.began,
            "rounds": last - first,
            "verifying": read - last,
            "closing": self.ended - read,
            "round_waited": median(waits),  # in its queue; no phase, part of planning and rounds
        }


async def account(client: Client, workflow_id: str) -> Account:
    """Read them. Raises `KeyError` if the job is not closed."""
    described = (await client.get_workflow_handle(workflow_id).describe()).raw_description
    root = await _events(client, workflow_id, described.workflow_execution_info.first_run_id)
    every = list(root)
    for event in root:
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            every += await _events(client, child.workflow_id, child.run_id)
    # Ids of events begin again in each history: each is read on its own.
    starts = [i for i, event in enumerate(every) if event.event_id == 1]
    activities: list[Activity] = []
    for begin, end in zip(starts, [*starts[1:], len(every)], strict=True):
        activities += _activities(every[begin:end])
    return Account(len(every), _at(root[0]), _at(root[-1]), activities)


async def _events(client: Client, workflow_id: str, run_id: str | None) -> list[HistoryEvent]:
    """One workflow's events, those of the runs it continued as included."""
    found: list[HistoryEvent] = []
    while True:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        found += [event async for event in handle.fetch_history_events()]
        if found[-1].event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
            return found
        run_id = found[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id


def _activities(history: list[HistoryEvent]) -> list[Activity]:
    by_id = {event.event_id: event for event in history}
    found = []
    for event in history:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            ended = event.activity_task_completed_event_attributes
            scheduled = by_id[ended.scheduled_event_id]
            name = scheduled.activity_task_scheduled_event_attributes.activity_type.name
            found.append(Activity(name, _at(scheduled), _at(by_id[ended.started_event_id]), _at(event)))
    return found


def _at(event: HistoryEvent) -> float:
    return event.event_time.ToMicroseconds() / 1e6
