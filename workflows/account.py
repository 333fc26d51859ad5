"""The account of a job: its report, and whether it may close."""

from __future__ import annotations

from typing import Literal

from temporalio import workflow

from workflows.by_partition import Totals, few, report_input, totals
from workflows.running_job import RunningJob
from workflows.shards import Shards

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Plan, Report, ReportInput, Touch, Transform, Verify
    from reindexer.tally import Tally, total


class Account:
    """Made when the lock is held; `report` may be asked at any time after."""

    def __init__(self, job: RunningJob, shards: Shards, plan: Plan) -> None:
        self._job, self._shards, self._plan = job, shards, plan

    def opening(self) -> ReportInput:
        """What is known before the first write: enough to remember the target version."""
        return report_input(self.report(), self._plan.target.attributes.version)

    def report(self) -> Report:
        """Everything as it stands now."""
        job, shards, plan = self._job, self._shards, self._plan
        info = workflow.info()
        unbalanced = [s.index for s in shards.all if not s.state.tally.balanced(len(s.state.isolated))]
        tally, by_partition = shards.tally, totals(shards.all)
        adds_up = not unbalanced and not by_partition.unbalanced and _adds_up(by_partition, tally)
        balanced = adds_up and tally.balanced()
        return Report(
            job=info.workflow_id,
            run=plan.run,
            table=plan.target.table,
            table_arn=plan.target.table_arn,
            operation=plan.target.operation.model_dump(mode="json"),
            version=plan.target.version,
            tally=tally,
            attempts=shards.attempts,
            # A closed job has no record under way; a cancelled one says honestly that some are.
            balanced=balanced,
            verification=job.verification,
            shards=len(shards.all),
            warnings=self._warnings(by_partition),
            controls=list(job.controls),
            started_at=info.workflow_start_time,
            seconds=max(0.0, (workflow.now() - info.workflow_start_time).total_seconds()),
            state=self._state(balanced=balanced),
            writer=plan.target.writer,
            consumed={
                "read_units": round(sum(s.state.read_units for s in shards.all), 1),
                "write_units": round(sum(s.state.write_units for s in shards.all), 1),
            },
            unbalanced_shards=unbalanced,
            code=plan.target.running(job.code).code,
            dry_run=job.tried,
            partitions=by_partition.tallies,
            unbalanced_partitions=by_partition.unbalanced[:100],  # a defect: to see which, not to count them
        )

    def _state(self, *, balanced: bool) -> Literal["complete", "incomplete", "cancelled", "failed"]:
        job, shards = self._job, self._shards
        if job.gate.stopping:
            return "cancelled"
        tally = shards.tally
        complete = (
            balanced
            and all(shard.done for shard in shards.all)
            and not tally.quarantined
            and not (tally.superseded and isinstance(self._plan.target.operation, Transform))
            and not (job.verification and job.verification.behind)
        )
        return "complete" if complete else "incomplete"

    def _warnings(self, by_partition: Totals) -> list[str]:
        warnings = list(self._plan.warnings) + list(self._job.warnings)
        again = [shard.index for shard in self._shards.all if shard.starts > 1]
        if again:
            warnings.append(f"shards {again} were ended by somebody and started again from their last report")
        if by_partition.unknown:
            names = by_partition.unknown
            warnings.append(
                f"the totals of {len(names):,} partitions are not known, since a shard that was ended by "
                f"somebody had to do with them: {few(names)}; the job's own tally is exact"
            )
        warnings += self._index_told()
        if self._job.tried:
            warnings.append("a dry run: nothing was written")
        elif self._job.verification is None and not isinstance(self._plan.target.operation, Verify):
            warnings.append("not verified: no consistent read was made after the job")
        return warnings

    def _index_told(self) -> list[str]:
        """What an index named that the table had not, or had elsewhere."""
        target, tally = self._plan.target, self._shards.tally
        if target.within is None or target.within.index is None:
            return []
        index, told = target.within.index, []
        if tally.vanished:
            told.append(f"{tally.vanished:,} records that index {index} named were gone from the table")
        if tally.filtered and isinstance(target.operation, Touch):  # a touch leaves nothing else alone
            told.append(
                f"{tally.filtered:,} records that index {index} named were no longer in their partition, and "
                "were left alone"
            )
        return told


def _adds_up(by_partition: Totals, tally: Tally) -> bool:
    """Whether the partitions' tallies sum to the job's; nothing to add up where it does not count by them."""
    known = by_partition.tallies.values()
    return bool(by_partition.unknown) or not known or total(Tally, known) == tally
