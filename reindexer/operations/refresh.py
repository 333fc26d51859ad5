"""refresh: write documents of named records again, into an index that is there; also beside a running follow.

Nothing is written to the table. A document is made as `index` makes it. It is written at the order that was
stored before its record was read, so that no newer change is lost.
"""

from __future__ import annotations

from reindexer.models import Verb
from reindexer.tally import Outcome

REFRESH = Verb(
    kind="refresh",
    does="write documents of named records again, into the index that readers have",
    writes=True,
    runs_job=False,
    outcomes=[Outcome.UPDATED, Outcome.FILTERED, Outcome.VANISHED, Outcome.QUARANTINED],
    incomplete=[Outcome.QUARANTINED],
    stamps=False,
    writes_index=True,
    rewrites=True,
    words={
        Outcome.UPDATED: "in the index, written by this run",
        Outcome.FILTERED: "without a document: left out by the job, expired, or tombstones",
        Outcome.VANISHED: "not in the table: without a document",
    },
)
#: The same with a job that makes the documents.
REFRESH_BY_JOB = REFRESH.model_copy(update={"runs_job": True})
