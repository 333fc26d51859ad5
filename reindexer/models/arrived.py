"""Whether what a job wrote to its table has arrived in an index: what is asked, and what is found."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, NonNegativeFloat, NonNegativeInt

from reindexer.items import Key
from reindexer.models.model import Asked, Model
from reindexer.models.search_index import Auth, Endpoint, Name, Region


class ReadIndex(Asked):
    """An index, or an alias of one, that another program feeds, and the field that has the version there."""

    search: Endpoint
    index: Annotated[Name, Field(max_length=255)]  # bytes of an index's name in OpenSearch
    field: Annotated[str, Field(min_length=1, max_length=255)]  # as an attribute's name
    auth: Auth | None = None
    region: Region | None = None


class FollowArrival(Model):
    """How far a follow has carried what a job wrote. Times as `JobProgress` has them.

    `given_up`: records that are open in the ledger, given up since the job began. `why`: why it is not
    confirmed; "" where it is. `answered`: whether a worker ever said anything.
    """

    follow: str
    run: str
    index: str
    confirmed: bool
    waited_seconds: NonNegativeFloat
    answered: bool = True
    settled_through: str | None = None
    isolated: NonNegativeInt = 0
    given_up: NonNegativeInt = 0
    why: str = ""


class Missing(Model):
    """Keys at the version whose document lacks it. `whole`: all of the table was read; else only a part.

    `unknown`: why no key can be named, or "".
    """

    keys: list[Key] = []
    scanned: NonNegativeInt = 0  # records of the table that were read
    whole: bool = False
    unknown: str = ""


class IndexArrival(Model):
    """How many documents of an index carry the version. `expected`: records that the job left at it."""

    index: str
    field: str
    confirmed: bool
    waited_seconds: NonNegativeFloat
    documents: NonNegativeInt
    expected: NonNegativeInt
    missing: Missing | None = None  # None: the documents are as many as expected


#: Seconds that a job waits for it unasked: an idle stream is known to have nothing more after one minute.
ARRIVAL_SECONDS = 300.0


class ArrivalInput(Model):
    """What a job asks at its end. Names as in `Arrival`; `started_at`: of the job."""

    job: str
    run: str
    table: str
    table_arn: str
    version: int
    started_at: AwareDatetime
    until: AwareDatetime
    seconds: float = ARRIVAL_SECONDS  # from `until` on, in all attempts together


class Arrival(Model):
    """The answer of `confirm`, or of the job itself. `until`: what changed in the table up to then is waited
    for. `why`: no one could be asked, and why; else each of `follows` says its own.
    """

    job: str
    run: str
    table: str
    version: int
    until: AwareDatetime
    confirmed: bool
    follows: list[FollowArrival] = []
    index: IndexArrival | None = None
    why: str = Field(default="", exclude_if=lambda value: not value)

    @classmethod
    def of(cls, request: ArrivalInput, follows: list[FollowArrival], why: str) -> Arrival:
        """The answer to a job; confirmed where there are follows, and each of them is."""
        return cls(
            job=request.job,
            run=request.run,
            table=request.table,
            version=request.version,
            until=request.until,
            confirmed=bool(follows) and all(follow.confirmed for follow in follows),
            follows=follows,
            why=why,
        )
