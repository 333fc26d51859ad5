"""What a verb would do to records, for a dry run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from reindexer.checks.index_trial import Written
from reindexer.errors import EnvironmentFault, RecordFailed
from reindexer.items import Skip, WireItem, Write
from reindexer.jobs.bounded import Bounded
from reindexer.jobs.conditions import Condition
from reindexer.jobs.deciding import failure_of
from reindexer.models import Target
from reindexer.operations import make_operation, verb_of
from reindexer.operations.transform import prepared
from reindexer.round_context import RoundContext
from reindexer.sinks.evidence import Marked, WrongType, carries, evidence, stamp_of
from reindexer.tally import Outcome

#: What would become of a record: an outcome that is certain, a failure, what is to be done, or its document.
Would: TypeAlias = Outcome | RecordFailed | Write | Skip | Written


class Trial(Protocol):
    """`condition`: what records are asked for by; None: all."""

    condition: Condition | None

    def matches(self, row: WireItem) -> bool:
        """Whether the condition holds."""
        ...

    def judge(self, rows: Sequence[WireItem]) -> Iterator[tuple[WireItem, Would]]:
        """Each of the rows, not in their order. Raises `EnvironmentFault`."""
        ...


def trial_of(target: Target, context: RoundContext) -> Trial:
    """That of the target's operation. Raises `EnvironmentFault` where its job is not here, or another."""
    return JobTrial(target, context) if verb_of(target.operation).runs_job else UnstampTrial(target)


class JobTrial:
    """Query and function of a job. Work with side effects is not done: its records are `updated`."""

    def __init__(self, target: Target, context: RoundContext) -> None:
        self._job, self._decider = prepared(target)
        self._stamp = stamp_of(target)
        self._decide: Bounded[WireItem, Write | Skip] = Bounded(self._decider, self._job.seconds, context)
        self.condition = self._decider.condition

    def matches(self, row: WireItem) -> bool:
        """Whether the query finds it."""
        return self._decider.matches(row)

    def judge(self, rows: Sequence[WireItem]) -> Iterator[tuple[WireItem, Would]]:
        """By the stamp first, then by the function."""
        below = []
        for row in rows:
            found = evidence(self._stamp, row)
            if found is None or isinstance(found, Marked):
                below.append(row)
            elif isinstance(found, WrongType):
                yield row, RecordFailed("VersionType", found.message)
            else:
                yield row, found
        if self._job.process is not None:
            for row in below:
                yield row, Outcome.UPDATED if self._decider.asks(row) else Outcome.FILTERED
        else:
            yield from self._decided(below)

    def _decided(self, rows: Sequence[WireItem]) -> Iterator[tuple[WireItem, Would]]:
        done = 0
        while done < len(rows):
            results = self._decide.run(rows[done:])
            for row, result in zip(rows[done:], results, strict=False):
                if isinstance(result, EnvironmentFault):
                    raise result
                yield row, failure_of(result, self._job.file) if isinstance(result, Exception) else result
            done += len(results)


class UnstampTrial:
    """Which records would lose their stamps."""

    condition: Condition | None = None

    def __init__(self, target: Target) -> None:
        self._stamp = stamp_of(target)
        self._operation = make_operation(target, self._stamp)

    def matches(self, row: WireItem) -> bool:  # noqa: ARG002
        """Every record."""
        return True

    def judge(self, rows: Sequence[WireItem]) -> Iterator[tuple[WireItem, Would]]:
        """By the attributes that it carries."""
        for row in rows:
            yield row, self._operation.decide(row) if carries(self._stamp, row) else Outcome.CURRENT
