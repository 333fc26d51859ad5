"""A follow is drained once all that had changed by then is settled, whatever keeps failing that came later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.planted import Make
from tests.tables import made_up_key
from tests.test_index_end_to_end import FAST
from tests.test_replicate_end_to_end import Replicated, until_drained


@pytest.mark.nightly
@pytest.mark.long
async def test_records_that_fail_one_after_another_all_the_while_keep_no_follow_from_it(
    quiet: Stack, make_table: Make
) -> None:
    replicated = Replicated(make_table, rows=40)
    keys = tuple(made_up_key(replicated.table.key, number) for number in range(6000, 6100))
    tables = frozenset((replicated.replica.name,))
    call = Fault(kind=FaultKind.SERVER_ERROR, tables=tables, keys=keys, operations="writes")
    statement = Fault(kind=FaultKind.STATEMENT_ERROR, code="InternalServerError", tables=tables, keys=keys)
    quiet.proxy.set_plan(FaultPlan(faults=(call, statement)))
    handle = await replicated.follow(quiet, limits=FAST)
    await until(handle, lambda now: now["state"] == "catching_up")
    changing = asyncio.ensure_future(_change(replicated, keys))
    try:
        seen = await until_drained(replicated, handle)
        assert seen["isolated"] > 0
    finally:
        changing.cancel()
    quiet.proxy.set_plan(FaultPlan())
    await handle.cancel()
    await outcome(handle)


async def _change(replicated: Replicated, keys: Sequence[dict[str, Any]]) -> None:
    """Often enough that one of them is being tried again at any moment: each is for half a minute or more."""
    for key in keys:
        replicated.table.put({**key, "n": {"N": "1"}})
        await asyncio.sleep(3)
