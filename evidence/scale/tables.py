"""What the scaled runs need besides `testbed.stack`: tables of any size."""

from __future__ import annotations

from typing import Any

from evidence.exactness.tables import put


def fill(client: Any, table: str, rows: int, size: int = 0) -> None:
    """A table of rows of about this many bytes."""
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    items = (
        {
            "id": {"S": f"row-{number:08d}"},
            "goes": {"BOOL": number % 3 > 0},
            "text": {"S": "x" * size},
        }
        for number in range(rows)
    )
    put(client, table, items)
