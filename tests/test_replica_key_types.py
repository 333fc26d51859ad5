"""A replica of tables with keys of every type, and with names that break what is not aliased, on an engine."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reindexer.items import GONE, ORDER, to_json_key
from reindexer.models import (
    KeyList,
    Lineages,
    OlderSegment,
    OtherTable,
    RefreshReplica,
    Replicate,
    RoundInput,
    Segment,
    Stop,
)
from reindexer.streams.client import StreamCalls, make_streams_client
from reindexer.streams.lineages import opening
from reindexer.streams.listing import describe
from reindexer.streams.order import floor_of
from reindexer.table_rounds import Second, make_round
from reindexer.tally import Tally
from tests.driving import PATIENCE
from tests.model_stream import Waiting
from tests.planted import Make, content
from tests.tables import Table
from tests.test_jobs_end_to_end import KEY_TYPES
from tests.test_repair_end_to_end import contents

#: Values whose text, sign, length or bytes are easily changed on the way; all are different keys.
VALUES: dict[str, list[Any]] = {
    "S": ["a", " ", "\x00", "é", "\U0001f600", "x" * 1024, "\"quoted\" 'it's'", "#k :v", "null"],
    "N": [
        "1.50",
        "1E2",
        "-0",
        "-1.50",
        "12345678901234567890123456789012345678",
        "1E-130",
        "9.9E+125",
        "7",
        "-7",
    ],
    "B": [b"\x00", b"\xff", b"\x00\x00", bytes(range(256)), b"'\"", b"\xc3\x28", b"row", b"a" * 1024, b"=="],
}
KINDS = [(first, second) for first in "SNB" for second in (None, *"SNB")]
#: Reserved words of DynamoDB's expressions, dots, spaces and quotes.
NAMES = [
    ("a.b", "select"),
    ("with space", "range"),
    ("#hash", 'with "quotes"'),
    ("key", ":colon"),
    ("ünï", "order"),
]


class Copied:
    """A table, its replica, and rounds between both."""

    def __init__(self, make_table: Make, endpoint: str, first: str, second: str | None, names: Any) -> None:
        schema = {"hash_type": first, "range_type": second, "hash_name": names[0], "range_name": names[1]}
        self.table: Table = make_table(stream="NEW_AND_OLD_IMAGES", **schema)
        self.replica: Table = make_table(**schema)
        about = self.table.client.describe_table(TableName=self.table.name)["Table"]
        arn = about["LatestStreamArn"]
        self.stream = StreamCalls(make_streams_client(endpoint=endpoint), arn)
        reading = opening(describe(self.stream).listing).reading
        before = datetime.now(UTC) - timedelta(minutes=1)
        self.lineages = Lineages(stream_arn=arn, opened_at=before, reading=reading)
        pairs = zip(VALUES[first], itertools.cycle(reversed(VALUES[second or "S"])), strict=False)
        kinds = (first, second or "S")
        self.keys = [
            {name: {kind: value} for name, kind, value in zip(names, kinds, pair, strict=True)}
            for pair in pairs
        ]
        if second is None:
            self.keys = [{names[0]: key[names[0]]} for key in self.keys]

    def put(self, *numbers: int, n: int) -> None:
        """Their items, with a value."""
        for number in numbers:
            item = {**self.keys[number], **content(n)}
            self.table.client.put_item(TableName=self.table.name, Item=item)

    def run(self, source: Any, epoch: int, kind: str = "replicate") -> Tally:
        """Of one round, to its end; of the stream until nothing comes."""
        operation = (RefreshReplica if kind == "refresh" else Replicate).model_validate(
            {"kind": kind, "to": {"table": self.replica.name}}
        )
        other = OtherTable(
            table=self.replica.name, table_arn=self.replica.arn, table_id="id", region="", ttl=GONE
        )
        target = self.table.target(version=epoch, operation=operation, other=other)
        second = Second(self.replica.calls, stream=self.stream)
        made = make_round(
            RoundInput(target=target, source=source), self.table.calls, Waiting(3.0), PATIENCE, second=second
        ).run()
        assert (made.fault, made.progress.isolated) == (None, [])
        assert made.stop is (Stop.ASKED if isinstance(source, Lineages) else Stop.DONE)
        return made.progress.tally

    @property
    def equal(self) -> bool:
        return contents(self.replica, marked=False) == contents(self.table)


@pytest.mark.parametrize(("first", "second"), KEY_TYPES)
def test_keys_of_every_type_are_copied_followed_removed_and_swept(
    make_table: Make, engine: Any, first: str, second: str | None
) -> None:
    names = NAMES[KINDS.index((first, second)) % len(NAMES)]
    copied = Copied(make_table, engine.endpoint_url, first, second, names)
    copied.put(*range(6), n=1)
    assert copied.run(Segment(segment=0, total=1), epoch=7) == Tally(scanned=6, updated=6)
    assert copied.equal
    copied.put(0, 6, 7, n=2)
    for number in (1, 2, 3):
        copied.table.client.delete_item(TableName=copied.table.name, Key=copied.keys[number])
    followed = copied.run(copied.lineages, epoch=7)
    assert (followed.scanned, followed.settled) == (12, 12)
    assert copied.equal
    assert len(contents(copied.replica, marked=True)) == 3
    # What a rescan finds that its table has not: of an epoch before, and of a stranger.
    extra: list[dict[str, Any]] = [{**copied.keys[8], ORDER: {"N": str(floor_of(7))}}, {**copied.keys[1]}]
    copied.replica.put(*extra)
    assert not copied.equal
    copied.run(Segment(segment=0, total=1), epoch=8)
    assert copied.run(OlderSegment(segment=0, total=1), epoch=8) == Tally(scanned=2, removed=2)
    assert copied.equal
    # By their names again: all that is there, and what is not.
    copied.replica.put({**copied.keys[4], "spoilt": {"BOOL": True}})
    listed = KeyList(keys=[to_json_key(key) for key in copied.keys])
    assert copied.run(listed, epoch=8, kind="refresh") == Tally(scanned=9, updated=5, vanished=4)
    assert copied.equal
