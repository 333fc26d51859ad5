"""Forgetting a workflow that a query has moved past its history.

A query that no workflow task carries comes with the whole history, and sdk-core (0.8, in temporalio 1.35)
applies all of it, also what came after the last workflow task. A signal or the end of an activity is then
handled at the time of the task before, and its commands wait for the next task. A replay handles the same event
later, together with everything else that came before that task. Code that asks for the time may decide
otherwise there: a nondeterminism error, at each attempt, for good. It takes a worker that died, someone who
asks for `progress`, and an event at that moment. So the run is evicted once the query is answered, and the next
workflow task is computed from the history.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info

log = logging.getLogger("reindexer.worker")

#: How sdk-core names a query that no workflow task carries.
_ALONE = "legacy_query"
#: Seconds within which sdk-core asks the query for which it has read a history: at once, but on a busy machine.
#: Where another query comes as soon after a task, that costs a replay and nothing else.
_AT_ONCE = 1.0


class EvictingRunner(WorkflowRunner):
    """Runs workflows as `runner` does, and evicts a run that a query has moved past its history.

    `evict` takes a run id; until it is set, nothing is evicted.
    """

    def __init__(self, runner: WorkflowRunner, clock: Callable[[], float] = time.monotonic) -> None:
        self._runner, self._clock = runner, clock
        self.evict: Callable[[str], None] = lambda _: None

    def prepare_workflow(self, defn: Any) -> None:
        """As the runner does."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """As the runner does; every activation is watched."""
        return _Watched(self._runner.create_instance(det), lambda run_id: self.evict(run_id), self._clock)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """As the runner does."""
        self._runner.set_worker_level_failure_exception_types(types)


class _Watched(WorkflowInstance):
    """One run."""

    def __init__(
        self, instance: WorkflowInstance, evict: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._instance, self._evict = instance, evict
        self._clock = clock
        self._at = (0, 0)  # when the workflow task began that it was last activated for
        self._live = False  # something came in that no replay has brought
        self._until = -math.inf  # by the clock: a query before then may be one that moved it

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """As the instance does. A run that is ahead of its history ends with the query that moved it."""
        queries = [job.query_workflow.query_id for job in act.jobs if job.HasField("query_workflow")]
        if not queries:
            # No workflow task has begun since the last activation, and yet something has come in. (sdk-core
            # also answers a cancellation this way, at once: then a query costs one replay, nothing else.)
            at = act.timestamp.seconds, act.timestamp.nanos
            again, first = at == self._at, not self._live
            self._at, self._live = at, self._live or not act.is_replaying
            if act.is_replaying or not (again or first):
                self._until = -math.inf
            else:
                # First and not again: perhaps a workflow task of a worker that died in it. Its beginning is in
                # the history, and the task that replaces it begins later. The query that brought it follows at
                # once.
                self._until = math.inf if again else self._clock() + _AT_ONCE
        elif _ALONE in queries and self._clock() < self._until:
            log.info("a query may have moved run %s past its history: the run is evicted", act.run_id)
            self._evict(act.run_id)
        return self._instance.activate(act)

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        """As the instance does."""
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        """As the instance does."""
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Info:
        """As the instance does."""
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        """As the instance does."""
        return self._instance.get_thread_id()
