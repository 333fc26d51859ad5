"""transform: a job's query and function decide what becomes of each record.

Also its sibling, a job that does something for each record instead of changing it: then the write is the stamp
alone, which says that the work was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reindexer.dynamo.wire import Stamp
from reindexer.errors import BadInput, EnvironmentFault
from reindexer.items import Skip, WireItem, Write, second_write
from reindexer.jobs.catalogue import find_job
from reindexer.jobs.conditions import filter_of
from reindexer.jobs.deciding import Decider, failure_of
from reindexer.jobs.job import CODE_SHOWN, Job
from reindexer.models import Target, ToSearch, Transform, Verb
from reindexer.operations.prefetched import Prefetched
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
        self._results: Prefetched[Write | Skip] = Prefetched(self.job, self._decider, context, pure=self.pure)

    def prefetch(self, page: Page) -> None:
        """These are going to be asked for, in this order; some may be left out."""
        self._results.turn_to(page)

    def decide(self, item: WireItem) -> Write | Skip:
        """Raises `RecordFailed`, `Interrupted`, `EnvironmentFault`."""
        return self._results.of(item)

    def redecide(self, item: WireItem) -> Write | Skip:
        """What an item needs that this run has marked for deletion; Skip: it is not to be deleted any more."""
        decision = self.decide(item)
        if isinstance(decision, Write) and decision.mark:  # it was read as it is now, lock and all
            return second_write(replace(decision, sets={}), self._own)
        return Skip("not to be deleted any more")


def prepared(target: Target) -> tuple[Job, Decider]:
    """The job the target names, and what decides for it. Raises `EnvironmentFault` where it is not that job."""
    operation = target.operation
    assert isinstance(operation, Transform | ToSearch)
    assert operation.job is not None
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
