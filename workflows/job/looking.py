"""Looking at the shards: the root asks the server now and then, instead of receiving reports all the time."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.controls import handed_back
from workflows.job.running_job import RunningJob
from workflows.job.shards import Shards
from workflows.options import look_options

with workflow.unsafe.imports_passed_through():
    from activities.look import LookActivities
    from reindexer.models import Capacity, CapacityInput, Looked, LookInput

#: A look is due when the job has grown older by this part: an hour of work costs 180 looks of 6 events each.
_PART_OF_AGE = 1 / 60
_LONGEST = 300.0  # seconds; a week costs 2,200 looks
#: Each share that changes much costs two events: in the worst case, where shards are throttled in turn, all do.
_LOOKS_PER_SHARING = 3
#: Of a job's first intervals between two questions for the table's capacity, 64 s: auto-scaling takes minutes.
_LOOKS_PER_CAPACITY = 8


class Looking:
    """One activity at a time: it begins after its interval, and reads what each open shard has in its memo and
    its round in its heartbeat. So it costs the same six events however many shards there are."""

    def __init__(self, job: RunningJob, shards: Shards) -> None:
        self._job, self._shards = job, shards
        self.at = ""  # when the figures were taken
        self._capacity_at = workflow.now().timestamp()  # asked for, or known from planning

    @property
    def seconds(self) -> float:
        """Between two looks: 8 s in the first eight minutes, so that nothing is older than 10 s after ten."""
        age = (workflow.now() - self._job.started_at).total_seconds()
        return min(_LONGEST, max(self._job.known_plan.look_seconds, age * _PART_OF_AGE))

    async def run(self) -> None:
        """Look, fold, share the budgets out, for ever."""
        job, shards, looks = self._job, self._shards, 0
        while True:
            await workflow.wait_condition(lambda: bool(shards.open) and not self._pointless)
            try:
                looked = await handed_back(self._start(), lambda: self._pointless)
            except ActivityError as error:
                if not self._pointless:
                    workflow.logger.warning("the shards could not be looked at: %s", error.cause or error)
                    await workflow.sleep(timedelta(seconds=self.seconds))
                continue
            self.at = (looked.at or workflow.now()).isoformat()
            shards.see(looked)
            if looked.capacity is not None and job.measured(looked.capacity):
                shards.reopen()
                job.changed()
            job.looked_at += len(looked.shards)
            looks += 1
            if not job.gate.paused and looks % _LOOKS_PER_SHARING == 0:
                shards.share_out()
            job.noticed()

    @property
    def _pointless(self) -> bool:
        """Whether nothing moves, or everything is about to tell of itself."""
        job = self._job
        return job.leaving or job.phase == "closing" or (job.gate.paused and self._shards.quiet)

    def _start(self) -> workflow.ActivityHandle[Looked]:
        seconds = self.seconds
        request = LookInput(
            job=self._job.job_id,
            run=self._job.known_plan.run,
            names={shard.index: shard.name() for shard in self._shards.open},
            seconds=seconds,
            capacity=self._capacity(),
        )
        return workflow.start_activity_method(
            LookActivities.look,
            request,
            summary=f"look at {len(request.names)} shards in {seconds:.0f} s",
            **look_options(seconds),
        )

    def _capacity(self) -> CapacityInput | None:
        """The question whether the capacity has changed, where a limit follows it and it is time to ask."""
        job, now = self._job, workflow.now().timestamp()
        plan, asked = job.known_plan, job.asked
        chosen = asked.read_units_per_second is None or asked.write_units_per_second is None
        early = now - self._capacity_at < _LOOKS_PER_CAPACITY * plan.look_seconds
        if plan.uses is None or not chosen or early:
            return None
        self._capacity_at = now
        target = plan.target
        return CapacityInput(
            table=target.table,
            table_arn=target.table_arn,
            table_id=target.table_id,
            uses=plan.uses,
            known=Capacity(**{name: getattr(plan.facts, name) for name in Capacity.model_fields}),
        )
