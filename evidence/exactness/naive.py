"""The control: the counter of the blog posts, under the same faults. It must be seen to overcount.

Each record is written with UpdateItem, then `ADD processed 1` counts it on an item of its own. The SDK tries
failed calls again, as it does by default: an ADD that was applied and answered with a 500 counts twice. What
still fails is handed out again, as a queue would.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from evidence.exactness import tables
from evidence.exactness.row import Row
from evidence.exactness.scenes import COMPLETE, record_name
from evidence.exactness.stand import Stand, client
from testbed.faults import Fault, FaultKind, FaultPlan

_COUNTER = {"id": {"S": "counter"}}
_RECEIVES = 10  # times a queue hands a message out before it is set aside
_THREADS = 16  # as a script would; more only wait for the counter's item


def count(stand: Stand, plan: FaultPlan, records: int) -> Row:
    """The row of the control. Right is what overcounts: a control that could not would prove nothing."""
    stand.quiet()
    table = tables.make(stand.direct, COMPLETE, map(COMPLETE.key, range(records)))
    stand.proxy.set_plan(plan)
    through = client(stand.proxy.endpoint_url)
    began = time.monotonic()

    def process(number: int) -> None:
        for _ in range(_RECEIVES):
            with suppress(ClientError, BotoCoreError):  # after the SDK's own retries
                _process(through, table, {"id": {"S": record_name(number)}})
                return

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(process, range(records)))
    truth = stand.proxy.truth(wait=5)  # seconds; nothing here is late
    stand.quiet()
    counter = stand.direct.get_item(TableName=table, Key=_COUNTER, ConsistentRead=True)["Item"]
    counted = int(counter["processed"]["N"])
    changed = sum(1 for item in tables.rows(stand.direct, table) if "processedAt" in item)
    twice = sum(1 for key in truth.tables[table].values() if key.applied > 1)
    stand.direct.delete_table(TableName=table)
    return Row(
        operation="the naive counter",
        scene=COMPLETE.name,
        fault="a third of all calls fail, half of these applied",
        moment="from the start",
        records=records,
        injected=truth.injected,
        ambiguous=0,
        outcomes={"counted": counted, "really changed": changed},
        balanced=counted == changed,
        verification=f"the counter is off by {counted - changed:+,}",
        changed_twice=twice,
        lost=records - changed,
        restarts=0,
        seconds=time.monotonic() - began,
        edge=True,
        wrong=[] if counted > records else ["the control did not overcount"],
    )


def _process(through: Any, table: str, key: Mapping[str, Any]) -> None:
    through.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET processedAt = :now",
        ExpressionAttributeValues={":now": {"N": str(time.time())}},
    )
    through.update_item(
        TableName=table,
        Key=_COUNTER,
        UpdateExpression="ADD #p :one",
        ExpressionAttributeNames={"#p": "processed"},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def third_of_writes(seed: int = 1) -> FaultPlan:
    """What the storm does, without damaged bodies: the SDK's own parser takes those for a success."""
    kinds = (FaultKind.SERVER_ERROR_APPLIED, FaultKind.CUT_APPLIED, FaultKind.SERVER_ERROR, FaultKind.THROTTLE)
    return FaultPlan(seed=seed, faults=tuple(Fault(kind=kind, probability=1 / 12) for kind in kinds))
