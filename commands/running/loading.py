"""The demo's data: cities, loaded into a table of a local stack."""

from __future__ import annotations

import math
import time

from commands.rendering.screen import err, step
from commands.running.stack import writes_singly
from reindexer.dynamo.client import make_client
from reindexer.words import count, duration, some
from testbed.cities import TABLE, add_stream, cities, create_table, load
from testbed.stack import Stack

#: Seconds for loading, where no number of records is given. The job takes twice as long for as many, and about
#: seven times as long where it writes them one by one.
_PATIENCE, _PATIENCE_SINGLY = 8.0, 1.5


def load_cities(servers: Stack, records: int | None, *, stream: bool) -> str | None:
    """Load the cities, past the fault proxy; returns the ARN of the table's stream, if it got one.

    `stream`: whether it is to have one, where the engine's streams are quick enough.
    """
    client, items = make_client(), list(cities(records))
    create_table(client)
    singly = stream and writes_singly(servers.engine)
    seconds = math.inf if records else _PATIENCE_SINGLY if singly else _PATIENCE
    begun = time.monotonic()
    with err.status("") as status:

        def show(written: int) -> None:
            status.update(f"loading cities: {count(written)} of {count(len(items))}")

        written = load(client, items, show, seconds)
        took = duration(time.monotonic() - begun)
        arn = add_stream(client) if stream and servers.engine.streams_at_speed else None
    which = ", which has a stream" if arn else ""
    more = f"; --records {len(items)} loads all" if written < len(items) else ""
    step("table", f"{some(written, 'record')} in {TABLE}{which}, loaded in {took}{more}")
    return arn
