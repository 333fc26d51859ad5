"""What the test's process asks of the lineage layer, and what the layer tells it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: str  # its ARN


class Begin(_Asked):
    """Serve this stream from now on, as one shard; what was drawn before is forgotten."""

    kind: Literal["begin"] = "begin"


class Divide(_Asked):
    """End an open shard where the stream ends now, and open one child or two."""

    kind: Literal["divide"] = "divide"
    shard: str
    children: Literal[1, 2]
    listed_after: NonNegativeInt = 0  # listings that lack the children
    parent_open_for: NonNegativeInt = 0  # listings, then, that show the parent open beside them


class Hide(_Asked):
    """Leave a shard out of the next listings, as a torn one does."""

    kind: Literal["hide"] = "hide"
    shard: str
    listings: NonNegativeInt


class Trim(_Asked):
    """Forget what was written up to the end of a shard; None: all up to now.

    Shards that ended by then are gone. Going on after an older number fails in the call that is named: engines
    differ. TRIM_HORIZON begins later, without an error.
    """

    kind: Literal["trim"] = "trim"
    through: str | None = None
    fails: Literal["GetShardIterator", "GetRecords"] = "GetRecords"


class Turn(_Asked):
    """Put the layer's clock forward: iterators expire after 15 minutes."""

    kind: Literal["turn"] = "turn"
    seconds: Annotated[float, Field(ge=0)]


class Adjust(_Asked):
    """Other settings; what is not named is set back.

    `page_shards` of a page of DescribeStream; `readers` of a shard at once, the next one is refused; `refused`:
    shards whose GetRecords are, all of them; `expired`: canonical keys whose deletions carry the mark of TTL.
    """

    kind: Literal["adjust"] = "adjust"
    page_shards: Annotated[int, Field(ge=1)] | None = None
    readers: Annotated[int, Field(ge=1)] | None = None
    refused: frozenset[str] = frozenset()
    expired: frozenset[str] = frozenset()


class Tell(_Asked):
    """Tell what was written and handed out."""

    kind: Literal["tell"] = "tell"


Asked: TypeAlias = Annotated[Begin | Divide | Hide | Trim | Turn | Adjust | Tell, Field(discriminator="kind")]
ASKED: TypeAdapter[Any] = TypeAdapter(Asked)


class Shards(BaseModel):
    """Shards that were opened."""

    shards: list[str] = []


class Drawn(BaseModel):
    """A shard as it is, whatever a listing shows."""

    shard: str
    parent: str | None
    open: bool


class Handed(BaseModel):
    """One record; `key` as `key_text` has it."""

    shard: str
    sequence_number: str
    key: str
    kind: str


class LineageTruth(BaseModel):
    """The shards, all records that were written since the stream began, and what was handed out of each shard.

    What was handed out and then lost on its way is in both; so is each repetition.
    """

    shards: list[Drawn]
    written: list[Handed]
    handed_out: dict[str, list[Handed]]
