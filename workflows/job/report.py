"""The report of a job, and whether it may close."""

from __future__ import annotations

from temporalio import workflow

from workflows.job.counts import compared_so_far
from workflows.job.incomplete import reasons
from workflows.job.not_found import not_found, unexplained
from workflows.job.partition_totals import few, unknown
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Compared, Indexed, PartitionTotals, Plan, Report
    from reindexer.tally import Outcome, Tally

#: Shards named in a warning: enough to see which.
_NAMED = 20


class JobReport:
    """`report` may be asked at any time. `totals` and `left` are set once all shards have ended."""

    def __init__(self, job: RunningJob, shards: Shards) -> None:
        self._job, self._shards = job, shards
        self.totals = PartitionTotals()
        self.left: int | None = None  # as in `Report`

    @property
    def _plan(self) -> Plan:
        return self._job.known_plan

    def unfinished(self) -> Report:
        """What the ledger has of a job that may not come to its end."""
        update = {"state": "running", "as_of": workflow.now(), "not_found": []}
        return self.report().model_copy(update=update)

    def report(self) -> Report:
        """Everything as it is now."""
        job, shards, plan = self._job, self._shards, self._plan
        mine = shards.changing
        unbalanced = [s.index for s in mine if not s.counts.tally.balanced(s.counts.isolated)]
        tally, totals = shards.tally, self.totals
        counted = bool(totals.partitions or totals.left_out) and not unknown(mine)
        adds_up = not unbalanced and not (counted and (totals.total != tally or totals.unbalanced))
        comparison = job.compared or (compared_so_far(shards.all) if plan.verb.compares else None)
        adds_up = adds_up and (comparison is None or comparison.counts.balanced)
        # A closed job has no record under way, and knows what each shard has come to.
        balanced = adds_up and tally.balanced() and not any(shard.lost for shard in mine)
        written = "bytes" if plan.verb.writes_index else "write_units"
        report = Report(
            job=job.job_id,
            run=plan.run,
            table=plan.target.table,
            table_arn=plan.target.table_arn,
            operation=plan.target.operation.model_dump(mode="json"),
            version=plan.target.version,
            tally=tally,
            attempts=shards.attempts,
            balanced=balanced,
            verification=job.verification,
            comparison=comparison,
            index=job.index,
            arrival=job.arrival,
            shards=len(shards.all) if plan.verb.compares else len(mine),
            warnings=self._warnings(),
            controls=list(job.controls),
            started_at=job.started_at,
            seconds=max(0.0, (workflow.now() - job.started_at).total_seconds()),
            state="cancelled" if job.gate.stopping else "incomplete",  # until it is known to be complete
            writer=plan.target.writer,
            consumed={
                "read_units": round(sum(s.counts.read_units for s in shards.all), 1),
                written: round(sum(s.counts.write_units for s in shards.all), 1),
            },
            unbalanced_shards=unbalanced,
            code=plan.target.running(job.code).code,
            dry_run=job.tried,
            partitions=totals.partitions,
            unbalanced_partitions=totals.unbalanced,
            used=job.used,
            left=self.left,
        )
        report.warnings.extend(unexplained(report, plan.verb, job.swept))
        report = report.model_copy(update={"not_found": not_found(report, plan.verb, totals)})
        return report.model_copy(update={"state": "complete"}) if self._is_complete(report) else report

    def _is_complete(self, report: Report) -> bool:
        missing = self._job.input and self._job.input.expect_found and report.not_found
        done = report.state != "cancelled" and all(shard.done for shard in self._shards.all)
        return done and not missing and not reasons(report, self._plan.verb)

    def _warnings(self) -> list[str]:
        job, mine = self._job, self._shards.changing
        warnings = list(self._plan.warnings) + list(job.warnings)
        if job.controls_dropped:
            warnings.append(f"{job.controls_dropped:,} control events in the middle are left out")
        again = [shard.index for shard in mine if shard.starts > 1 and shard.situation != "lost"]
        if again:
            warnings.append(
                f"{_some(again)} were ended from outside and started again from their last known counts"
            )
        lost = [shard.index for shard in mine if shard.lost]
        if lost:
            warnings.append(
                f"what {_some(lost)} did after they last reported is not known: counts are lower bounds"
            )
        doubtful = [s.index for s in mine if s.summary.doubt and s.index not in lost]
        if doubtful and job.gate.stopping:
            warnings.append(f"{_some(doubtful)} lost a worker: counts may be lower bounds")
        elif doubtful and self._plan.verb.deletes and _may_lack(self._shards.tally):
            warnings.append(f"{_some(doubtful)} lost a worker: `deleted` may be a lower bound")
        if names := unknown(mine):
            warnings.append(
                f"the totals of {len(names):,} partitions are not known, since a shard that was ended "
                f"from outside had to do with them: {few(names)}; the job's own tally is exact"
            )
        if self._plan.verb.copies and not self._plan.verb.rewrites:
            warnings += replica_warnings(job.compared)
        warnings += self._index_warnings() + document_warnings(job.index)
        if job.tried or (job.input and job.input.dry_run):
            warnings.append(f"a dry run: nothing was {'kept' if self._plan.verb.writes_index else 'written'}")
        elif job.verification is None and self._plan.verb.in_place:
            warnings.append("not verified: no consistent read was made after the job")
        return warnings

    def _index_warnings(self) -> list[str]:
        """What an index named that the table had not, or had elsewhere."""
        target, tally = self._plan.target, self._shards.tally
        if target.within is None or target.within.index is None:
            return []
        index, found = target.within.index, []
        if vanished := tally[Outcome.VANISHED]:
            found.append(f"{vanished:,} records that index {index} named were gone from the table")
        left = tally[Outcome.FILTERED]
        if left and Outcome.FILTERED not in self._plan.verb.outcomes:
            found.append(
                f"{left:,} records that index {index} named were no longer in their partition, and were "
                "left alone"
            )
        return found


def document_warnings(found: Indexed | None) -> list[str]:
    """What the check of a search index has to say."""
    if found is None:
        return []
    if not found.counted:
        return ["not verified: documents were neither counted nor compared with their records"]
    sample = found.sample
    if sample is None or not sample.missing:
        return []
    return [
        f"{sample.missing:,} of {sample.sampled:,} sampled records have no document in the index: they were "
        "written after the job had read their part of the table, or were given up"
    ]


def replica_warnings(found: Compared | None) -> list[str]:
    """What the comparison of a replica's sample has to say."""
    if found is None:
        return ["not verified: the replica was not compared with the table"]
    differ = sum(found.counts.differences.values())
    if found.estimate is None or not differ:
        return []
    return [
        f"{differ:,} of {found.estimate.keys:,} sampled records are not the same in the replica: they were "
        "changed after the job had read them, or others write to the replica"
    ]


def _may_lack(tally: Tally) -> bool:
    """Whether deletions may be missing: a record that was asked for by its key has vanished instead."""
    return bool(tally[Outcome.DELETED] or tally[Outcome.VANISHED])


def _some(indexes: list[int]) -> str:
    more = f" and {len(indexes) - _NAMED} more" if len(indexes) > _NAMED else ""
    return f"shards {indexes[:_NAMED]}{more}"
