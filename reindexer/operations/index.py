"""index: write a document of every record into a new search index.

Nothing is written to the table. What a record becomes is a document: all of its attributes, or what a job's
`document(item, params)` makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reindexer.errors import RecordFailed
from reindexer.items import EXPIRED, GONE, Skip, WireItem
from reindexer.jobs.changes import Delete
from reindexer.jobs.conditions import Condition, as_filter
from reindexer.jobs.deciding import OUTSIDE, Decider
from reindexer.jobs.expiry import expired
from reindexer.jobs.job import Job
from reindexer.models import Expiry, Target, ToSearch, Verb
from reindexer.operations.prefetched import Prefetched
from reindexer.operations.transform import prepared
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.search.documents import Documents
from reindexer.tally import Outcome

INDEX = Verb(
    kind="index",
    does="write a document of every record into a new search index",
    writes=True,
    runs_job=False,
    outcomes=[
        Outcome.UPDATED, Outcome.FILTERED, Outcome.VANISHED, Outcome.SUPERSEDED, Outcome.QUARANTINED
    ],
    incomplete=[Outcome.QUARANTINED],
    stamps=False,
    writes_index=True,
    words={
        Outcome.UPDATED: "in the index, written by this run",
        Outcome.FILTERED: "without a document: left out by the job, expired, or tombstones",
        Outcome.VANISHED: "gone from the table before this run wrote them",
        Outcome.SUPERSEDED: "newer in the index already",
    },
)  # fmt: skip
#: The same with a job that makes the documents.
INDEX_BY_JOB = INDEX.model_copy(update={"runs_job": True})

#: A row that marks a deletion counts as absent.
_TOMBSTONE = Skip("a tombstone")
_DELETED = Skip("the job returned Delete()")


class IndexOperation:
    """What becomes of one record: the text of its document, or nothing."""

    def __init__(self, target: Target, context: RoundContext | None = None) -> None:
        assert target.search is not None, "documents for what?"
        assert isinstance(target.operation, ToSearch)
        self.documents = Documents(target.search.left_out, target.search.numbers_as_text)
        self._expiry = target.expiry
        #: Scan parameters that leave out rows outside the job's query.
        self.filter: Mapping[str, Any] = {}
        self.condition: Condition | None = None  # the job's query; None: every record
        self._by_job: Prefetched[bytes | Skip] | None = None
        if target.operation.job is not None:
            job, decider = prepared(target)
            self.condition = decider.condition
            if self.condition is not None:
                self.filter = as_filter(self.condition)
            self._by_job = Prefetched(job, DocumentOf(job, decider, self.documents), context, pure=True)

    def prefetch(self, page: Page) -> None:
        """These are going to be asked for, in this order; some may be left out."""
        if self._by_job:
            self._by_job.turn_to(page)

    def decide(self, item: WireItem) -> bytes | Skip:
        """Raises `RecordFailed`, `Interrupted`, `EnvironmentFault`."""
        if GONE in item:
            return _TOMBSTONE
        if self._by_job:
            return self._by_job.of(item)
        return EXPIRED if self._expired(item) else self.documents.of_item(item)

    def _expired(self, item: WireItem) -> bool:
        expiry: Expiry | None = self._expiry
        return expired(expiry, item)


class DocumentOf:
    """A job's `document(item, params)`. Pure: no thread, no table, no clock."""

    def __init__(self, job: Job, decider: Decider, documents: Documents) -> None:
        assert job.document is not None, "a job without documents"
        self._decider, self._documents = decider, documents
        self._document: Callable[[Mapping[str, Any], Any], Any] = job.document
        self._params = decider.params

    def __call__(self, item: WireItem) -> bytes | Skip:
        """Raises `RecordFailed`, or whatever the job's code raises."""
        if not self._decider.matches(item):
            return OUTSIDE
        if not self._decider.asks(item):
            return EXPIRED
        made = self._document(self._decider.row(item), self._params)
        if isinstance(made, Skip):
            return made
        if isinstance(made, Delete):
            return _DELETED
        if not isinstance(made, Mapping):
            raise RecordFailed(
                "InvalidResult",
                f"document returned {type(made).__name__}; return a dictionary, Delete() or Skip(reason)",
            )
        return self._documents.of_fields(made)
