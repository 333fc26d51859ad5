"""Running one refresh of the matrix beside a follow and other writers, and what the judge says at the end."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from evidence.exactness import tables
from evidence.exactness.cell import Handle, Happened
from evidence.exactness.crashes import until
from evidence.exactness.following import AFTER, KEYS, STEADY, caught_up, counts
from evidence.exactness.kinds import PARTS, Moment
from evidence.exactness.refreshes import Refresh
from evidence.exactness.replicas import FOLLOWED_RECORDS
from evidence.exactness.replicating import Watch, always, job_of, left_of
from evidence.exactness.row import Row
from evidence.exactness.running import report_of, restarts
from evidence.exactness.scenes import COMPLETE, record_name
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped, injected, row_of, tried
from evidence.exactness.writers import Writers
from testbed.faults import FaultPlan

_HELD_BACK = {"records_per_second": 100}  # six seconds for all keys: there is a middle
_LATE = 8.0  # seconds; the latest of the late writes comes 6 s after its call


@dataclass(frozen=True)
class _Refreshed:
    """The refresh once it has ended."""

    handle: Handle
    report: dict[str, Any]
    happened: Happened
    injected: dict[str, int]


async def run_refresh(cell: Refresh, stand: Stand) -> Row:
    """The row of a refresh."""
    return await tried(cell, stand, lambda: _once(cell, stand))


async def _once(cell: Refresh, stand: Stand) -> Row:
    stand.quiet()
    rows = map(cell.row, range(FOLLOWED_RECORDS))
    table = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, rows, stream=True)
    replica = await asyncio.to_thread(tables.make, stand.direct, COMPLETE, ())
    stream = stand.direct.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    control = await asyncio.to_thread(stand.proxy.lineages, stream)
    began = time.monotonic()
    with Writers(stand.direct, table, cell.row, KEYS, STEADY).at_work() as writers:
        client = await stand.connect()
        name = f"follow-{table}-{uuid.uuid4().hex[:6]}"
        follow = await client.start_workflow(
            "FollowTable", job_of(table, replica), id=name, task_queue=stand.queue
        )
        await until(follow, lambda seen: bool(seen.get("drained")))
        await asyncio.to_thread(_spoil, stand.direct, replica)
        spoilt = len(await asyncio.to_thread(left_of, stand.direct, table, replica))
        with Watch(stand.direct, replica).at_work() as watch:
            refreshed = await _refreshed(cell, stand, table, replica)
            await asyncio.sleep(AFTER)
            writers.stop()
            counted = await caught_up(stand, follow, control)
            truth = await asyncio.to_thread(stand.proxy.truth, _LATE)
    await follow.cancel()
    followed = await report_of(stand, follow)
    left = await asyncio.to_thread(left_of, stand.direct, table, replica)
    changes = len((await asyncio.to_thread(control.truth)).written)
    report, written = refreshed.report, truth.applied(replica)
    tally = {name: count for name, count in report["tally"].items() if count}
    scanned = tally.pop("scanned", 0)
    wrote = sum(one["tally"][each] for one in (report, followed) for each in ("updated", "deleted", "vanished"))
    musts = {
        "nothing happened": bool(refreshed.injected),
        "nothing was spoilt": bool(spoilt),
        "the refresh is not balanced": report["balanced"] and scanned == sum(tally.values()),
        f"{scanned:,} of {KEYS:,} keys were refreshed": scanned == KEYS,
        f"outcomes of the refresh are {tally}": tally.keys() <= {"updated", "vanished"},
        f"{written:,} writes were accepted, and {wrote:,} counted": written >= wrote,
        **counts(followed, counted, changes, None),
        f"{len(left):,} keys differ": not left,
        **always(watch, truth, table),
        **refreshed.happened.musts,
    }
    row = row_of(
        cell,
        records=scanned,
        injected=refreshed.injected,
        outcomes=tally,
        ambiguous=report["attempts"]["ambiguous"],
        balanced=report["balanced"],
        verification=f"judged: {spoilt:,} spoilt, {changes:,} changes, {len(left):,} keys differ",
        changed_twice=0,
        lost=len(left),
        wrong=[what for what, holds in musts.items() if not holds],
    )
    row.restarts, row.seconds = await restarts(refreshed.handle), time.monotonic() - began
    dropped(stand, table, replica)
    return row


async def _refreshed(cell: Refresh, stand: Stand, table: str, replica: str) -> _Refreshed:
    """All keys that others write, again; what the cell is about happens meanwhile, and ends with it."""
    job = {
        "table": table,
        "operation": {"kind": "refresh", "to": {"table": replica}},
        "scope": {"kind": "keys", "values": [record_name(number) for number in range(KEYS)]},
        "limits": _HELD_BACK,
    }
    faults = FaultPlan(faults=cell.plan(replica))
    if cell.moment is Moment.START:
        await asyncio.to_thread(stand.proxy.set_plan, faults)
    handle = await stand.start(job, f"refresh-{table}-{uuid.uuid4().hex[:6]}")
    if cell.moment is not Moment.START:
        most = PARTS[cell.moment] * KEYS
        await until(handle, lambda seen: seen["tally"]["scanned"] >= most)
        await asyncio.to_thread(stand.proxy.set_plan, faults)
    happened = await cell.disturb(stand, cell, replica, handle) if cell.disturb else Happened()
    report = await report_of(stand, handle)
    await asyncio.to_thread(stand.proxy.set_plan, FaultPlan())
    by_proxy = dict((await asyncio.to_thread(stand.proxy.truth)).injected)
    if not cell.disturb and not any(report["attempts"].values()):
        by_proxy = {}  # it was the follow alone that met them
    struck = await injected(cell, stand, handle, report["run"], by_proxy, happened)
    return _Refreshed(handle, report, happened, struck)


def _spoil(client: Any, replica: str) -> None:
    """What somebody else may do to copies: of five one gets other contents, and one goes. Marks stay."""
    live = {"ConditionExpression": "attribute_exists(reindexOrder) AND attribute_not_exists(reindexGone)"}
    for number in range(0, KEYS, 5):
        changed, removed = (
            {"TableName": replica, "Key": {"id": {"S": record_name(each)}}, **live}
            for each in (number, number + 1)
        )
        to = {"UpdateExpression": "SET stray = :n, tags = :n", "ExpressionAttributeValues": {":n": {"N": "-1"}}}
        _if_there(client.update_item, **changed, **to)
        _if_there(client.delete_item, **removed)


def _if_there(call: Any, **request: Any) -> None:
    try:
        call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
