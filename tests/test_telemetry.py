"""Metrics carry the round's numbers under their documented names."""

from __future__ import annotations

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from reindexer.models import Attributes, KeyAttribute, Progress, RoundResult, Stop, Target
from reindexer.tally import Attempts, Tally
from reindexer.telemetry import round_ended


def test_a_round_is_counted_by_outcome_and_kind_of_attempt() -> None:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
    target = Target(
        table="cities",
        table_arn="arn:aws:dynamodb:us-east-1:1:table/cities",
        table_id="1",
        key=[KeyAttribute(name="id", type="S")],
        attributes=Attributes(),
        version=1,
        stamp="r",
        writer="partiql",
    )
    progress = Progress(
        tally=Tally(scanned=3, updated=2, current=1), attempts=Attempts(ambiguous=1), write_units=2.0
    )

    round_ended(target, RoundResult(progress=progress, stop=Stop.DONE, seconds=0.5))

    data = reader.get_metrics_data()
    assert data is not None
    points = {
        (metric.name, point.attributes.get("outcome", point.attributes.get("kind"))): getattr(point, "value", 0)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if point.attributes is not None
    }
    assert points[("reindexer.records", "updated")] == 2
    assert points[("reindexer.records", "current")] == 1
    assert points[("reindexer.attempts", "ambiguous")] == 1
    assert points[("reindexer.consumed", "write")] == 2.0
    assert ("reindexer.records", "deleted") not in points
