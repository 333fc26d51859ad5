"""Reads that change nothing: verification and dry run."""

from __future__ import annotations

import operator

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from reindexer.items import Cursor, Key
from reindexer.models.model import Model
from reindexer.models.plan import KeyAttribute, Target
from reindexer.models.rounds import Fault, Share
from reindexer.models.search_index import IndexCreation, SearchIndex
from reindexer.models.sources import DocumentRange, KeptKeys, Source
from reindexer.tally import Tally


class Keep(Model):
    """Where the keys of rows behind are kept: in the ledger, under the job's run."""

    job: str
    run: str


class VerifyInput(Model):
    """One round of a verification. `source`: a segment, keys, or whole partitions (ranges without bounds)."""

    target: Target
    source: Source
    cursor: Cursor | None = None
    share: Share = Share()
    keep: Keep | None = None  # None: rows behind are only counted
    heartbeat_timeout: float = 10.0
    seconds: float = 30.0


class VerifyResult(Model):
    """What one round read; also its heartbeat. Numbers are those of this round alone."""

    scanned: NonNegativeInt = 0
    behind: NonNegativeInt = 0
    cursor: Cursor | None = None
    done: bool = False
    fault: Fault | None = None
    read_units: NonNegativeFloat = 0.0
    throttled: bool = False  # ended early for lack of capacity
    throttle: str | None = None  # how far that reaches, where known


class Verification(Model):
    """What an independent consistent read found. `behind`: rows in scope that are not at the target."""

    scanned: NonNegativeInt = 0
    behind: NonNegativeInt = 0


class BehindInput(Model):
    """Make key lists of what a verification kept, for a sweep. `most`: keys at most."""

    job: str
    run: str
    most: NonNegativeInt = 10_000  # with more behind, the table is being written to faster than a sweep follows


class Behind(Model):
    """Rows found behind: how many are `kept`, and the lists of those that this run has not given up."""

    kept: NonNegativeInt
    lists: list[KeptKeys]


class OlderInput(Model):
    """Make key lists of the documents that an epoch before this one has written. `most`: keys at most."""

    index: SearchIndex
    key: list[KeyAttribute]
    epoch: int
    job: str
    run: str
    most: PositiveInt = 50_000  # in 100 lists, which are as many shards; what is left is asked for again


class DocumentRanges(Model):
    """All documents of an index, in parts."""

    ranges: list[DocumentRange]


class Change(Model):
    """One attribute before and after, as JSON of its value, shortened; None: missing."""

    name: str
    before: str | None
    after: str | None


class Pair(Model):
    """A record that a dry run would change. `delete`: it would be gone; then the changes show what it holds."""

    key: Key
    changes: list[Change]
    delete: bool = False


class DocumentField(Model):
    """One field of a document: its JSON, shortened, and its type in the index; None: it is not indexed."""

    name: str
    value: str
    mapped: str | None = None


class TriedDocument(Model):
    """A document as a dry run wrote it to a temporary index. `error`: by which it was refused, if it was."""

    key: Key
    id: str
    fields: list[DocumentField]
    error: str = ""
    message: str = ""


class DryRun(Model):
    """What would become of a sample. Nothing was written. `failures`: by error class, with one message each.

    `documents`: of an index, some that were taken and some that were refused.
    """

    tally: Tally
    pairs: list[Pair] = []
    failures: dict[str, int] = {}
    messages: dict[str, str] = {}
    documents: list[TriedDocument] = Field(default=[], exclude_if=operator.not_)


class DryRunInput(Model):
    """`pairs`: records shown, at most. `creation`: of the index that documents are tried on, for job `job`."""

    target: Target
    source: Source
    limit: PositiveInt
    pairs: NonNegativeInt = 10
    seconds: float = 20.0  # then it tells what it has seen
    heartbeat_timeout: float = 10.0
    creation: IndexCreation | None = Field(default=None, exclude_if=operator.not_)
    job: str = Field(default="", exclude_if=operator.not_)


class IndexSampleInput(Model):
    """Compare about `records` records of `rows` with their documents. `share`: all of the read budget."""

    target: Target
    rows: NonNegativeInt  # in the table, or more
    records: PositiveInt = 200  # of a share of 2 % that differs, all but one sample in 50 shows some
    share: Share = Share()
    seconds: float = 20.0  # then it tells what it has compared
    heartbeat_timeout: float = 10.0
