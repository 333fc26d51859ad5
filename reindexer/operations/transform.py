"""transform: a job's query and function decide what becomes of each record.

Also its sibling, a job that does something for each record instead of changing it: then the write is the stamp
alone, which says that the work was done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reindexer.dynamo.wire import Stamp
from reindexer.errors import BadInput, EnvironmentFault
from reindexer.items import Skip, WireItem, Write, second_write
from reindexer.jobs.bounded import Bounded
from reindexer.jobs.catalogue import find_job
from reindexer.jobs.conditions import filter_of
from reindexer.jobs.deciding import Decider, failure_of
from reindexer.jobs.job import CODE_SHOWN, Job
from reindexer.models import Target, Transform, Verb
from reindexer.page import Page
from reindexer.round_context import RoundContext
from reindexer.tally import Outcome

TRANSFORM = Verb(
    kind="transform",
    does="run a job's query and function over the records",
    writes=True,
    runs_job=True,
    outcomes=[
        Outcome.UPDATED, Outcome.DELETED, Outcome.CURRENT, Outcome.SUPERSEDED, Outcome.FILTERED,
        Outcome.VANISHED, Outcome.QUARANTINED
    ],
    incomplete=[Outcome.QUARANTINED, Outcome.SUPERSEDED],  # past the target, a record was not transformed
)  # fmt: skip

#: Records per handover to the helper thread: a handover costs about what deciding one record does.
_AHEAD = 50


class TransformOperation:
    """One job with its parameters, on one target. Made by each round, on the worker that runs it."""

    #: Whole items: the function may look at anything.
    reads: tuple[str, ...] | None = None

    def __init__(self, target: Target, stamp: Stamp, context: RoundContext | None = None) -> None:
        self.job, self._decider = prepared(target)
        self._own = (stamp.version_attribute, stamp.run_attribute)
        condition = self._decider.condition
        #: Scan parameters that leave out rows outside the query.
        self.filter: Mapping[str, Any] = {} if condition is None else filter_of(condition, stamp)
        #: Whether it may be asked twice about one record without anybody noticing.
        self.pure = self.job.process is None
        #: Records per call of the sink: what was done for one is stamped before the next is begun.
        self.max_batch = 25 if self.pure else 1
        #: Whether it may delete records: the decider refuses a deletion by a job that does not declare it.
        self.deletes = self.job.destructive
        self._ahead = _AHEAD if self.pure else 1
        self._bounded: Bounded[WireItem, Write | Skip] = Bounded(
            self._decider, self.job.seconds, context, may_leave=self.pure
        )
        self._rows: Sequence[WireItem] = ()
        self._next = 0
        self._known: dict[int, Write | Skip | Exception] = {}

    def prefetch(self, page: Page) -> None:
        """These are going to be asked for, in this order; some may be left out."""
        self._rows, self._next = page.rows, 0
        self._known.clear()

    def decide(self, item: WireItem) -> Write | Skip:
        """Raises `RecordFailed`, `Interrupted`, `EnvironmentFault`."""
        found = self._known.pop(id(item), None)
        if found is None:
            chunk = self._chunk(item)
            results = self._bounded.run(chunk)
            self._next += len(results) if chunk[0] is self._row(self._next) else 0
            found = results[0]
            for row, result in zip(chunk[1:], results[1:], strict=False):
                self._known[id(row)] = result
        if isinstance(found, EnvironmentFault):
            raise found
        if isinstance(found, Exception):
            raise failure_of(found, self.job.file) from found
        return found

    def redecide(self, item: WireItem) -> Write | Skip:
        """What an item needs that this run has marked for deletion; Skip: it is not to be deleted any more."""
        decision = self.decide(item)
        if isinstance(decision, Write) and decision.mark:  # it was read as it is now, lock and all
            return second_write(replace(decision, sets={}), self._own)
        return Skip("not to be deleted any more")

    def _chunk(self, item: WireItem) -> Sequence[WireItem]:
        """The item, and those that are going to be asked for after it."""
        rows = self._rows
        for place in range(self._next, len(rows)):
            if rows[place] is item:
                self._known.clear()  # of rows that were passed over
                self._next = place
                return rows[place : place + self._ahead]
        return [item]

    def _row(self, place: int) -> WireItem | None:
        return self._rows[place] if place < len(self._rows) else None


def prepared(target: Target) -> tuple[Job, Decider]:
    """The job the target names, and what decides for it. Raises `EnvironmentFault` where it is not that job."""
    operation = target.operation
    assert isinstance(operation, Transform)
    try:
        job = find_job(operation.job)
        check_code(job, target.code)
        params = job.parameters(operation.params)
    except BadInput as error:
        raise EnvironmentFault("JobMissing", str(error)) from error
    stamp = target.attributes
    try:
        decider = Decider(
            job,
            params,
            keys=[attribute.name for attribute in target.key],
            hidden=(stamp.version, stamp.run),
            index_keys=target.index_keys,
            indexes=target.indexes,
            table=target.table,
            single=target.writer == "update_item",
            expiry=target.expiry,
        )
    except Exception as error:  # the job's own code again: its query went through when the plan was made
        failure = failure_of(error, job.file)
        raise EnvironmentFault("QueryFailed", f"the query of job {job.name!r}: {failure}") from error
    return job, decider


def check_code(job: Job, planned: str | None) -> None:
    """Raise `EnvironmentFault` of code `CodeChanged` unless the job is the one that was planned with."""
    if planned is not None and not job.code.startswith(planned):
        raise EnvironmentFault(
            "CodeChanged",
            f"job {job.name!r} was planned with code {planned[:CODE_SHOWN]}; "
            f"this worker has {job.code} ({job.file})",
        )
