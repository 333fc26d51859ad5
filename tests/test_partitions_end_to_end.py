"""Jobs for named partitions, on real servers: exactly their records, each once, and nothing beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.stack import Stack, outcome
from tests.tables import Table

pytestmark = pytest.mark.servers

Make = Callable[..., Table]


def tenants(table: Table, rows: dict[str, int], **attributes: Any) -> None:
    """So many rows of each tenant, their sort keys numbered."""
    table.put(
        *(
            {"id": {"S": tenant}, "sort": {"S": f"{number:06}"}, **attributes}
            for tenant, count in rows.items()
            for number in range(count)
        )
    )


def touched(table: Table) -> dict[str, int]:
    """How many records of each tenant carry a version."""
    found: dict[str, int] = {}
    for item in table.items():
        if "reindexVersion" in item:
            found[item["id"]["S"]] = found.get(item["id"]["S"], 0) + 1
    return found


async def test_only_the_named_tenants_are_touched_and_verified(quiet: Stack, make_table: Make) -> None:
    table = make_table(range_type="S")
    tenants(table, {"acme": 30, "globex": 7, "initech": 200, "other": 50})
    scope = {"kind": "partitions", "values": ["acme", "globex", "nobody", "acme", "initech"]}

    kind, report = await outcome(await quiet.start({"table": table.name, "scope": scope}))

    assert kind == "complete", report
    assert report["tally"] == {**dict.fromkeys(report["tally"], 0), "scanned": 237, "updated": 237}
    assert report["verification"] == {"scanned": 237, "behind": 0}
    assert touched(table) == {"acme": 30, "globex": 7, "initech": 200}
