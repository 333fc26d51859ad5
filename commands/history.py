"""Reading a job's history: what its shards have reported, for when no worker is there to be asked."""

from __future__ import annotations

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionDescription

from reindexer.models import ShardReport, ShardState


async def reported_states(client: Client, description: WorkflowExecutionDescription) -> list[ShardState]:
    """The newest known state of each shard: a child's result, else its last report.

    Reads the whole history, some megabytes for a job of days: seconds, and only where no worker answers.
    """
    states: dict[int, ShardState] = {}
    seqs: dict[int, int] = {}
    handle = client.get_workflow_handle(description.id, run_id=description.run_id)
    async for event in handle.fetch_history_events():
        report = await _report(client, event)
        if report is not None and report.seq > seqs.get(report.index, -1):
            states[report.index], seqs[report.index] = report.progress, report.seq
        closed = await _result(client, event)
        if closed is not None:
            index, states[closed[0]] = closed
            seqs[index] = 2**63  # above every seq: nothing that comes after a result is newer
    return [states[index] for index in sorted(states)]


async def _report(client: Client, event: HistoryEvent) -> ShardReport | None:
    signal = event.workflow_execution_signaled_event_attributes
    if signal.signal_name != "shard_report" or not signal.input.payloads:
        return None
    try:
        report: ShardReport = (await client.data_converter.decode(signal.input.payloads, [ShardReport]))[0]
    except (ValueError, RuntimeError):  # of a worker of another version; pydantic's errors are ValueErrors
        return None
    return report


async def _result(client: Client, event: HistoryEvent) -> tuple[int, ShardState] | None:
    child = event.child_workflow_execution_completed_event_attributes
    if not child.result.payloads:
        return None
    name = child.workflow_execution.workflow_id.rsplit("/shard-", 1)[-1]  # <job>/<run>/shard-003[-again-2]
    try:
        state: ShardState = (await client.data_converter.decode(child.result.payloads, [ShardState]))[0]
        return int(name.split("-")[0]), state
    except (ValueError, RuntimeError):
        return None
