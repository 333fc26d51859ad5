"""What travels of a table's stream: positions in its shards, and how far each lineage was read."""

from __future__ import annotations

import operator
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, StringConstraints

from reindexer.models.model import Model

#: Of DynamoDB 28 to 65 characters; engines on one machine have shorter and longer ones.
ShardId = Annotated[str, StringConstraints(min_length=1, max_length=512)]
#: 21 to 40 digits. They are compared as integers: their length grows, and they fit into no 64 bits.
SequenceNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,40}$")]
#: Hours for which a stream keeps a change (DynamoDB's).
KEPT_HOURS = 24.0


class StreamShard(Model):
    """A stream shard as DescribeStream lists it.

    `open`: no ending number is listed. That is a hint and no more: a listing may lag, and engines show an
    ending number on shards that go on. `parent` may no longer be listed.
    """

    shard: ShardId
    parent: ShardId | None = None
    open: bool = True


class Position(Model):
    """How far a stream shard was read: one value, moved only over changes that are settled.

    `sequence_number`: of the last change that is settled; None: none is yet. `ordinal` is that change's place
    along the lineage; while there is no number, the place of the last change before this shard.
    `found_at`: no change of the shard is older than that by more than a shard lives; without a number it
    counts, since the beginning of a shard is trimmed without an error. `changed_at`: of the last change that is
    settled.
    """

    shard: ShardId
    sequence_number: SequenceNumber | None = None
    ordinal: NonNegativeInt = 0
    found_at: AwareDatetime
    changed_at: AwareDatetime | None = None

    @property
    def end_at(self) -> AwareDatetime:
        """No change of its children is older, if the shard ends here: whenever they are found."""
        return self.changed_at or self.found_at


class Ended(Model):
    """A stream shard that was read to its end, all of it settled or isolated.

    `ordinal`: of its last change; `at`: as `Position.end_at`; `read_at`: when its end was read.
    """

    ordinal: NonNegativeInt
    at: AwareDatetime | None = None  # None: of an older worker
    read_at: AwareDatetime | None = None
    parent: ShardId | None = None


class Reading(Model):
    """A stream shard that is being read."""

    position: Position
    parent: ShardId | None = None


class Listing(Model):
    """What DescribeStream listed. `complete` False: a page is missing, so that what is not here may still
    exist.

    `at`: by the service's clock.
    """

    shards: list[StreamShard] = []
    complete: bool = True
    at: AwareDatetime


class LineageState(Model):
    """All that has to be kept of the lineages of one stream.

    `passed`: shards that were closed when positions were taken, with a child that was listed: the scan, begun
    later, has what they left. `holes`: since when a shard cannot be begun, because its parent was neither read
    nor is listed.
    """

    opened_at: AwareDatetime
    reading: dict[ShardId, Reading] = {}
    ended: dict[ShardId, Ended] = {}
    passed: list[ShardId] = []
    holes: dict[ShardId, AwareDatetime] = {}


class Failing(Model):
    """A stream shard whose calls fail while those of others go through.

    `since_ms`: when they began to, in ms since 1970. `known`: it is what passes by itself, such as a throttle.
    """

    shard: ShardId
    since_ms: NonNegativeInt
    said: str
    throttled: bool = False
    known: bool = True

    @property
    def sentence(self) -> str:
        """For a person."""
        what = "throttles" if self.throttled else "refuses"
        return f"DynamoDB Streams {what} {self.shard}, waiting ({self.said})"


class Followed(Model):
    """How far the changes of some lineages are settled. Times in ms since 1970, by the service's clock.

    `through_ms`: every change up to then is settled, in each of them; 0: not known yet. `lag_ms`: how old the
    last change was, of the slowest; 0 while pages come empty. `at_ms`: when that held. `shards`: stream shards
    that are read. `empty_since_ms`: since when all pages have come empty; 0: they have not. `failing`: of the
    stream shards that cannot be read, the one that cannot for longest.
    """

    through_ms: NonNegativeInt = 0
    lag_ms: NonNegativeInt = 0
    at_ms: NonNegativeInt = 0
    shards: NonNegativeInt = 0
    empty_since_ms: NonNegativeInt = 0
    failing: Failing | None = Field(default=None, exclude_if=operator.not_)


class FollowState(Model):
    """Where a follow is. The root's own, and so it may change."""

    model_config = ConfigDict(frozen=False, extra="forbid")

    scanned_at: AwareDatetime | None = None  # when the last shard of the scan was done
    drained_at: AwareDatetime | None = None  # when all that had changed until then was settled
    compared_from: NonNegativeInt = Field(default=0, exclude_if=operator.not_)  # shards of the last comparison
    #: When it was asked to end, once all that had changed until then is settled.
    stop_at: AwareDatetime | None = Field(default=None, exclude_if=lambda value: value is None)
    rescan: bool = False  # another scan is wanted, and begins once everything has handed back
    older: bool = False  # the index may hold what an epoch before this one has written
    settled_at: AwareDatetime | None = None  # when that was settled for the first time
    #: Records given up in all, by the minute since 1970 in which they became as many: of the last hour.
    given_up: dict[int, int] = Field(default={}, exclude_if=operator.not_)


class LineageCursor(Model):
    """Where a round goes on: several lineages, which it reads in turn, as one value.

    `ended`: shards that were read to their end. Who holds this cursor begins their children, and no one else.
    """

    reading: dict[ShardId, Reading] = {}
    ended: dict[ShardId, Ended] = {}


def with_adopted(cursor: LineageCursor, shards: list[Reading]) -> LineageCursor:
    """The cursor with more shards to read; one that it has, or had, stays as it is."""
    known = cursor.reading.keys() | cursor.ended.keys()
    new = {one.position.shard: one for one in shards if one.position.shard not in known}
    return cursor.model_copy(update={"reading": cursor.reading | new})


class Adopt(Model):
    """Root → shard that follows: stream shards that it is to read besides."""

    shards: list[Reading]


class Lineages(Model):
    """Some lineages of the table's stream, from the positions that were taken before anything was read."""

    kind: Literal["lineages"] = "lineages"
    stream_arn: str
    opened_at: AwareDatetime  # what changed ten minutes before it, or earlier, is left to the scan
    reading: dict[ShardId, Reading]
    ended: dict[ShardId, Ended] = Field(default={}, exclude_if=operator.not_)  # whose children are looked for
    #: As in `LineageState`, of the whole stream: only where positions are taken, for the ledger.
    passed: list[ShardId] = Field(default=[], exclude_if=operator.not_)


class StreamLookInput(Model):
    """Look at the whole graph of a table's stream for what no lineage reads.

    `destination`, `epoch`: of the follow, by which the ledger keeps its positions. `through_ms`: as in
    `Followed`. `patience_seconds`: for how long a missing shard is looked for again.
    """

    table: str
    table_arn: str
    stream_arn: str
    destination: str
    epoch: int
    through_ms: NonNegativeInt = 0
    patience_seconds: NonNegativeFloat


class StreamLook(Model):
    """What is to be read besides, and why changes are lost; both bounded.

    `adopt`: shards whose parent was read to its end, each from its first change on. `lost` "": nothing is known
    to be lost; else the sentence, of the kind `kind`.
    """

    adopt: list[Reading] = []
    kind: str = ""
    lost: str = ""
