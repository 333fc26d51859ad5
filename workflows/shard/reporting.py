"""What a shard lets others know: in its memo for whoever looks, and by the few signals that cannot wait."""

from __future__ import annotations

from temporalio import workflow

from workflows.shard.running_shard import RunningShard

with workflow.unsafe.imports_passed_through():
    from reindexer.models import ShardReport, Situation
    from reindexer.tally import Outcome

#: The key of a shard's memo.
MEMO = "shard"


class Telling:
    """Signals go up on three occasions: it parked, it is paused for a pause, it gave records up."""

    def __init__(self, shard: RunningShard) -> None:
        self._shard = shard
        self._given_up = shard.state.tally[Outcome.QUARANTINED]  # as the root knows it
        self._still: Situation | None = None  # parked or paused, and not signalled yet
        self._acknowledged = -1
        self._noted: Situation | None = None

    @property
    def situation(self) -> Situation:
        """As it is now, for the memo."""
        return self._shard.situation.model_copy(update={"summary": self._shard.summary}).brief

    def note(self) -> None:
        """Put into the memo what is new in it."""
        now = self.situation
        if now != self._noted:
            self._noted = now
            workflow.upsert_memo({MEMO: now})

    def still(self) -> None:
        """Nothing runs: paused, or parked. The root is signalled once for each pause of its own."""
        self.note()
        now = self._shard.situation
        if self._acknowledged != self._shard.control.paused_since or (
            now.state == "parked" and self._still is None
        ):
            self._acknowledged = self._shard.control.paused_since
            self._still = now

    async def run(self) -> None:
        """Signal the root when there is something to tell, until cancelled."""
        parent = workflow.info().parent
        if parent is None:
            return
        root = workflow.get_external_workflow_handle(parent.workflow_id)
        while True:
            await workflow.wait_condition(self._has_news)
            report = ShardReport(
                index=self._shard.request.index,
                acknowledged=max(0, self._acknowledged),
                situation=self._shard.situation.model_copy(update={"summary": self._shard.summary}),
            )
            self._still = None
            self._given_up = self._shard.state.tally[Outcome.QUARANTINED]
            self._shard.state = self._shard.state.model_copy(update={"quarantined": []})
            try:
                await root.signal("shard_report", report)
            except Exception as error:
                # A root that is gone is being closed, and its children with it.
                workflow.logger.info("the root did not take a report: %s", error)

    def _has_news(self) -> bool:
        given_up = self._shard.state.tally[Outcome.QUARANTINED] - self._given_up
        return self._still is not None or given_up >= self._shard.control.quarantine_step
