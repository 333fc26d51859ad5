"""A run that a query moved past its history is evicted; no other is."""

from __future__ import annotations

from typing import Any, cast

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from eviction import EvictingRunner


class Inner(WorkflowRunner):
    """Its instances answer nothing, and note what they are asked."""

    def __init__(self) -> None:
        self.activated: list[WorkflowActivation] = []

    def prepare_workflow(self, defn: Any) -> None:
        raise NotImplementedError

    def create_instance(self, _: WorkflowInstanceDetails) -> WorkflowInstance:
        return cast("WorkflowInstance", self)

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        self.activated.append(act)
        return WorkflowActivationCompletion()


def activation(at: int, *, replaying: bool = False, query: str = "") -> WorkflowActivation:
    act = WorkflowActivation(run_id="the-run", is_replaying=replaying)
    act.timestamp.seconds = at
    job = act.jobs.add()
    if query:
        job.query_workflow.query_id = query
    else:
        job.resolve_activity.seq = 1
    return act


REPLAYED = [activation(1, replaying=True), activation(2, replaying=True)]
ALONE, WITH_A_TASK = "legacy_query", "09bcfc88"
LATER = None  # a second passes


@pytest.mark.parametrize(
    ("activations", "evicted"),
    [
        pytest.param([*REPLAYED, activation(2), activation(2, query=ALONE)], 1, id="replayed and moved"),
        pytest.param([activation(1), activation(1), activation(1, query=ALONE)], 1, id="cached and moved"),
        pytest.param([*REPLAYED, activation(2, query=ALONE)], 0, id="replayed"),
        pytest.param([*REPLAYED, activation(3), activation(3, query=ALONE)], 1, id="a task that died, at once"),
        pytest.param(
            [*REPLAYED, activation(3), LATER, activation(3, query=ALONE)], 0, id="a task, later a query"
        ),
        pytest.param(
            [*REPLAYED, activation(3), activation(4), activation(4, query=ALONE)], 0, id="tasks, then a query"
        ),
        pytest.param([*REPLAYED, activation(2), activation(2, query=WITH_A_TASK)], 0, id="with a task"),
        pytest.param(
            [activation(1), activation(1), activation(2), activation(2, query=ALONE)], 0, id="a task on top"
        ),
    ],
)
def test_what_a_query_moved_is_evicted(activations: list[WorkflowActivation | None], evicted: int) -> None:
    inner, runs, now = Inner(), list[str](), [0.0]
    runner = EvictingRunner(inner, lambda: now[0])
    runner.evict = runs.append
    instance = runner.create_instance(cast("WorkflowInstanceDetails", None))
    for act in activations:
        if act is LATER:
            now[0] += 1
        else:
            instance.activate(act)
    assert inner.activated == [act for act in activations if act is not LATER]
    assert runs == ["the-run"] * evicted
