"""A search index as a destination: how it is reached, how it is created, and what has become of it."""

from __future__ import annotations

import operator
import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from reindexer.items import Key
from reindexer.models.model import Asked, Model
from reindexer.models.option import Option
from reindexer.models.streams import Lineages

#: An index or alias as OpenSearch takes it: lowercase, without its special characters.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
#: Without a user and a password: an input is kept in Temporal's history.
_ENDPOINT = re.compile(r"https?://[^\s/?#@]+/?")
_AUTH = re.compile(r"aws|env:[A-Za-z_][A-Za-z0-9_]*")
#: Bytes of an index's name (OpenSearch: 255) less `-<epoch>-write` or `-dry-run-<run>-write`: 25 signs.
MAX_ALIAS = 220


def _endpoint(given: str) -> str:
    """Never repeats what was given: a password may be in it."""
    if not _ENDPOINT.fullmatch(given):
        raise ValueError(
            "must be http:// or https:// and a host, such as https://search.internal:9200, without a path "
            "and without a password: `auth` says where that is"
        )
    return given


def _auth(given: str) -> str:
    """Nor does this."""
    if not _AUTH.fullmatch(given):
        raise ValueError(
            "must be aws, or env:NAME with the name of an environment variable of the workers that holds "
            "user:password or an API key"
        )
    return given


def _name(given: str) -> str:
    if not _NAME.fullmatch(given):
        raise ValueError(
            f"{given!r} cannot be an alias, or an index: it must be of lowercase letters, digits, and . _ -, "
            "beginning with a letter or a digit"
        )
    return given


#: A cluster's address, without a secret.
Endpoint = Annotated[str, AfterValidator(_endpoint)]
#: "aws": SigV4 with the credentials of the process that asks. "env:NAME": `user:password` or an API key in its
#: environment.
Auth = Annotated[str, AfterValidator(_auth)]
#: Of an index, or of an alias.
Name = Annotated[str, AfterValidator(_name)]
#: AWS's name of a Region.
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")]


class SearchAddress(Asked):
    """An OpenSearch cluster and the readers' alias there. No secret is in it: `auth` says where one is."""

    search: Annotated[
        Endpoint,
        Option("--to", "The OpenSearch endpoint, such as https://search.internal:9200.", "URL"),
    ]
    alias: Annotated[
        Name,
        Field(max_length=MAX_ALIAS),
        Option("--alias", "The alias that readers use; default: the table's name.", "NAME"),
    ]
    #: "aws": SigV4 with the worker's credentials. "env:NAME": `user:password` or an API key in the worker's
    #: environment.
    auth: Annotated[
        Auth | None,
        Option("--auth", "aws (SigV4), or env:NAME: a worker's environment variable.", "HOW"),
    ] = None
    region: Annotated[
        Region | None,
        Option("--search-region", "The domain's Region, for --auth aws; default: the worker's.", "REGION"),
    ] = None


class IndexBeside(Asked):
    """An index that is compared with its table. No secret is in it."""

    search: Annotated[
        Endpoint,
        Option("--search", "An OpenSearch endpoint: compare an index there.", "URL"),
    ]
    alias: Annotated[
        Annotated[Name, Field(max_length=MAX_ALIAS)] | None,
        Option("--alias", "The alias of the index; default: the table's name.", "NAME"),
    ] = None
    index: Annotated[
        Name | None, Option("--search-index", "The index itself, in place of an alias.", "NAME")
    ] = None
    auth: Annotated[Auth | None, Option("--auth", "aws (SigV4), or env:NAME: a worker's variable.", "HOW")] = (
        None
    )
    region: Region | None = None  # of the domain, for "aws"

    @model_validator(mode="after")
    def _one_name(self) -> IndexBeside:
        if (self.alias is None) is (self.index is None):
            raise ValueError("name either an alias or an index")
        return self

    @property
    def name(self) -> str:
        """The alias or the index."""
        return self.alias or self.index or ""

    @property
    def address(self) -> SearchAddress:
        """How it is reached, as for what writes documents."""
        return SearchAddress(search=self.search, alias=self.name, auth=self.auth, region=self.region)


class SearchIndex(Model):
    """The index that a job writes. Its epoch is the target's version; its documents carry `order`."""

    search: str
    alias: str  # of the readers
    auth: str | None = None
    region: str | None = None
    cluster: str  # the cluster's UUID
    index: str  # the concrete index
    numbers_as_text: list[str] = []  # fields whose numbers are strings in a document
    left_out: list[str] = []  # attributes that no document has
    #: It was filled by an epoch before this one: what a scan leaves out may have a document yet.
    refilled: bool = Field(default=False, exclude_if=operator.not_)
    #: Of one that is compared. By it a record may be removed at any moment; None: by no attribute.
    ttl: str | None = Field(default=None, exclude_if=lambda value: value is None)
    #: Seconds for which a difference has to persist.
    lag_seconds: float = Field(default=0.0, exclude_if=lambda value: not value)

    @property
    def destination(self) -> str:
        """By which the ledger keeps lock and epochs: the readers' alias of one cluster."""
        return destination_of(self.cluster, self.alias)

    @property
    def write_alias(self) -> str:
        """What writes go through: it exists on the job's own index alone, so that none is created silently."""
        return write_alias(self.index)


def destination_of(cluster: str, alias: str) -> str:
    """By which the ledger keeps lock and epochs of an alias."""
    return f"search:{cluster}/{alias}"


def dry_run_index(index: SearchIndex, run: str) -> SearchIndex:
    """The temporary index that a dry run writes to, and removes."""
    return index.model_copy(update={"index": f"{index.alias}-dry-run-{run}"})


def write_alias(index: str) -> str:
    """The private alias of an index, by which jobs write to it."""
    return f"{index}-write"


class IndexCreation(Model):
    """What the index is created with, decided by the plan."""

    mappings: dict[str, Any]
    settings: dict[str, Any]
    made_from_sample: bool = False


class IndexInput(Model):
    """What the activities of an index are asked: to create it, or to check it and move the alias."""

    index: SearchIndex
    table_arn: str
    run: str
    job: str
    epoch: int
    creation: IndexCreation | None = Field(default=None, exclude_if=operator.not_)
    positions: list[Lineages] = Field(default=[], exclude_if=operator.not_)  # as in `Plan`
    expected: NonNegativeInt | None = None  # documents that this run has written; None: not known
    #: Records that were found to have their document, where each was looked at.
    exactly: NonNegativeInt | None = Field(default=None, exclude_if=lambda value: value is None)
    move: bool = False  # whether the readers' alias may move
    take: bool = Field(default=False, exclude_if=operator.not_)  # also where somebody pointed it elsewhere
    why_not: str = ""  # why it may not
    scanned: bool = Field(default=False, exclude_if=operator.not_)  # the scan came to its end
    replace_index: bool = False
    count: bool = Field(default=True, exclude_if=bool)
    #: Job and run of which a redrive takes up records: while it has open ones, the alias does not move.
    given_up_by: list[str] = Field(default=[], exclude_if=operator.not_)


class IndexSample(Model):
    """Records of a random sample whose documents are `equal` to what they are rendered to now, or not."""

    sampled: NonNegativeInt
    equal: NonNegativeInt
    missing: NonNegativeInt
    different: NonNegativeInt
    keys: list[Key] = []  # of some that are not equal


class Indexed(Model):
    """What has become of the index."""

    index: str
    alias: str
    documents: NonNegativeInt = 0  # without tombstones
    expected: NonNegativeInt | None = None
    exactly: NonNegativeInt | None = Field(default=None, exclude_if=lambda value: value is None)
    counted: bool = Field(default=True, exclude_if=bool)
    tombstones: NonNegativeInt = 0
    sample: IndexSample | None = Field(default=None, exclude_if=operator.not_)
    moved: bool = False  # the readers' alias points at it
    previous: list[str] = []  # what the alias pointed at before
    why: str = ""  # why the alias was not moved

    @property
    def complete(self) -> bool:
        """Whether it holds what was written to it.

        It may hold more: documents of records that were deleted while a lost worker's counts were not known.
        Not where every record was looked at: `exactly` that many have one.
        """
        if self.counted and self.exactly is not None:
            return self.documents == self.exactly
        return not self.counted or self.expected is None or self.documents >= self.expected

    @property
    def shortfall(self) -> str:
        """What is wrong with an index that is not complete."""
        if self.exactly is not None:
            return f"the index holds {self.documents:,} documents, and {self.exactly:,} records have one"
        return f"the index holds {self.documents:,} documents of {self.expected or 0:,} that were written"


#: Whether the readers' alias moves at the end of a job.
MoveAlias = Literal["complete", "always", "never"]


class Readers(NamedTuple):
    """How an operation gives the index that it makes to readers."""

    address: SearchAddress  # with the alias that readers use
    move_alias: MoveAlias
    replace_index: bool  # remove an index that has the alias's name today
