"""refresh: write named records again into an index or a replica that is there; also beside a running follow.

Nothing is written to the table. What is written is made as `index` or `replicate` makes it. Its order is the
stored one, read before the record was, so that no newer change is lost.
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
#: The same of a replica.
REFRESH_REPLICA = Verb(
    kind="refresh",
    does="write named records again into their replica",
    writes=True,
    runs_job=False,
    outcomes=REFRESH.outcomes,
    incomplete=REFRESH.incomplete,
    stamps=False,
    writes_other=True,
    copies=True,
    rewrites=True,
    words={
        Outcome.UPDATED: "in the replica, written by this run",
        Outcome.FILTERED: "not in the replica: expired, or tombstones",
        Outcome.VANISHED: "not in the table: removed from the replica",
    },
)
