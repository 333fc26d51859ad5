"""Other writers beside a running job: those that take its stamp off, and those that leave it."""

from __future__ import annotations

import asyncio
import random
import time

from evidence.exactness import tables
from evidence.exactness.cell import Cell, Evidence, Handle, Happened
from evidence.exactness.scenes import Item, record_name
from evidence.exactness.stand import Stand
from evidence.exactness.verbs import DELETE, stays
from testbed.faults import FaultPlan

_WRITING = 30.0  # seconds after which another writer stops, whatever the job does; it takes some ten
_PASSES = 8  # in each, the records whose answers were just lost are the ones that matter
_BETWEEN_LOOKS = 50  # writes between two looks at how far the job is
_ALMOST_ALL = 0.9  # of the records
_LOOKING = 12.0  # seconds after which rows that are still there are not going to be deleted


async def drop_stamps(stand: Stand, cell: Cell, table: str, _handle: Handle) -> Happened:
    """Another writer puts whole items, without stamps, while calls are being tried again; then it stops.

    Not before the edge was reached: on a busy machine a job may begin to write only after all passes.
    """
    until, passes = time.monotonic() + _WRITING, 0
    while passes < _PASSES or (
        time.monotonic() < until and not await asyncio.to_thread(_changed_twice, stand, table)
    ):
        rows = map(cell.row, range(cell.records))
        await asyncio.to_thread(tables.put, stand.direct, table, rows)
        await asyncio.sleep(0.1)  # seconds; about what a call takes while the job is held back
        passes += 1
    stand.proxy.set_plan(FaultPlan())
    return Happened()


def _changed_twice(stand: Stand, table: str) -> bool:
    """Whether the proxy has seen a record of the table changed twice by one run."""
    truth = stand.proxy.truth()
    return any(truth.changed_twice(stamp) for stamp in truth.stamps(table))


async def change_names(stand: Stand, cell: Cell, table: str, _handle: Handle) -> Happened:
    """Another writer gives rows other names, one by one, and leaves the stamps alone."""
    draw = random.Random(1)
    names: dict[int, Item] = {}

    def write(count: int) -> None:
        number = draw.randrange(cell.records)
        names[number] = {"name": {"S": f"name {count} of {number}"}}
        stand.direct.update_item(
            TableName=table,
            Key={"id": {"S": record_name(number)}},
            UpdateExpression="SET #name = :name",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues={":name": names[number]["name"]},
        )

    until, count = time.monotonic() + _WRITING, 0
    while time.monotonic() < until:
        for _ in range(_BETWEEN_LOOKS):
            await asyncio.to_thread(write, count)
            count += 1
        truth = await asyncio.to_thread(stand.proxy.truth)
        if truth.applied(table) >= _ALMOST_ALL * cell.records:  # before its end: the last names stand till then
            break
    return Happened(others=names)


def has_the_last_name(cell: Cell, number: int, seen: Evidence) -> bool:
    """The row bears the name that someone gave it last, as it was given or in capitals, and was done once."""
    found = seen.row(cell, number)
    if found is None or found.get("reindexVersion") != {"N": str(seen.report["version"])}:
        return False
    name = seen.others.get(number, {}).get("name", {"S": f"name of {number}"})["S"]
    return found["times"] == {"N": "1"} and found["name"]["S"] in (name, name.upper())


async def create_again(stand: Stand, cell: Cell, table: str, _handle: Handle) -> Happened:
    """Another writer puts each row that is gone once more, as soon as it sees that; half of them stay now."""
    left = {number for number in range(cell.records) if not stays(number)}
    again: dict[int, Item] = {}
    until = time.monotonic() + _LOOKING
    while left and time.monotonic() < until:
        there = {row["id"]["S"] for row in await asyncio.to_thread(_all, stand, table)}
        gone = {number for number in left if record_name(number) not in there}
        new = {number: {**cell.row(number), "goes": {"BOOL": bool(number % 2)}} for number in gone}
        await asyncio.to_thread(tables.put, stand.direct, table, new.values())
        left -= gone
        again |= new
        await asyncio.sleep(0.05)  # seconds; late deletes come half a second after their call
    return Happened(others=again)


def is_deleted_by_a_mark_of_its_own(cell: Cell, number: int, seen: Evidence) -> bool:
    """A row that is gone was marked in each of its lives; one put to stay is there, and was not marked again.

    One that was put just as it had been may be marked and deleted again, also by a late request.
    """
    found, marks = seen.row(cell, number), seen.marks(DELETE, cell.scene.key(number))
    put = seen.others.get(number, cell.row(number))
    lives = 1 + (number in seen.others)
    if put["goes"]["BOOL"]:
        return marks == lives if found is None or "reindexRun" in found else found == put
    return found is not None and found["goes"] == put["goes"] and marks == lives - 1


def _all(stand: Stand, table: str) -> list[Item]:
    return list(tables.rows(stand.direct, table))
