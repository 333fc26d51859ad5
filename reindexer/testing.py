"""Trying a job without any server: a list of items in, outcomes and before/after out.

from reindexer.testing import run_job

[one] = run_job("jobs/trim.py", [{"id": "a", "name": " Ulm "}]).records
assert one.after == {"id": "a", "name": "Ulm"}
"""

from __future__ import annotations

import decimal
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from reindexer.items import Skip, WireItem, written
from reindexer.jobs.catalogue import find_job, load_job
from reindexer.jobs.deciding import Decider, failure_of
from reindexer.jobs.job import Job, Params
from reindexer.jobs.row import Row
from reindexer.operations.index import DocumentOf
from reindexer.search.documents import Documents
from reindexer.tally import Outcome
from reindexer.values import EXACT, wire_item


@dataclass(frozen=True)
class Ran:
    """What became of one item. `after` None: it was deleted; `error`: why it would be quarantined.

    `document`: of a job that makes documents, as a search index gets it; None: it has none.
    """

    outcome: str
    before: Mapping[str, Any]
    after: Mapping[str, Any] | None
    error: str = ""
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """Items in the order they were given. `outcomes`: how many records had which."""

    records: Sequence[Ran]

    @property
    def outcomes(self) -> dict[str, int]:
        """Counts by outcome, without zeros."""
        return dict(Counter(record.outcome for record in self.records))


def run_job(
    job: str | Path | Job,
    items: Iterable[Mapping[str, Any]],
    params: Mapping[str, Any] | Params | None = None,
    *,
    keys: Iterable[str] = ("id",),
) -> Run:
    """Apply the job to each item, once, as a run without other writers would.

    `job`: a name, a file, or a loaded job. `keys`: the table's key attributes. Values come back as a function
    sees them. Not covered: writers at work meanwhile, time limits, and what only DynamoDB itself refuses.
    Raises `BadInput` for wrong parameters, `JobBroken` for a file that cannot be used.
    """
    if not isinstance(job, Job):
        is_file = isinstance(job, Path) or job.endswith(".py")
        job = load_job(Path(job)) if is_file else find_job(str(job))
    chosen = params if isinstance(params, Params) else job.parameters(params or {})
    decider = Decider(job, chosen, keys=keys)
    with decimal.localcontext(EXACT):
        if job.document is not None:
            documents = DocumentOf(job, decider, Documents())
            return Run([_document(job, documents, wire_item(item)) for item in items])
        return Run([_one(job, decider, wire_item(item)) for item in items])


def _one(job: Job, decider: Decider, item: WireItem) -> Ran:
    before = dict(Row(item))
    try:
        decision = decider(item)
    except Exception as error:  # the job's own: in a run it is that record's failure
        return Ran(Outcome.QUARANTINED.value, before, before, str(failure_of(error, job.file)))
    if isinstance(decision, Skip):
        return Ran(Outcome.FILTERED.value, before, before)
    if decision.mark:
        return Ran(Outcome.DELETED.value, before, None)
    return Ran(Outcome.UPDATED.value, before, dict(Row(written(item, decision))))


def _document(job: Job, documents: DocumentOf, item: WireItem) -> Ran:
    """The record itself stays as it is."""
    before = dict(Row(item))
    try:
        made = documents(item)
    except Exception as error:  # the job's own: in a run it is that record's failure
        return Ran(Outcome.QUARANTINED.value, before, before, str(failure_of(error, job.file)))
    if isinstance(made, Skip):
        return Ran(Outcome.FILTERED.value, before, before)
    return Ran(Outcome.UPDATED.value, before, before, document=json.loads(made, parse_float=Decimal))
