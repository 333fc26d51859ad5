"""Which rows a job would still change: what verification asks of a transform.

DynamoDB leaves out what is at the target or outside the query; the function says of the rest whether it would
change it. Nothing of the rounds is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reindexer.errors import EnvironmentFault, Interrupted
from reindexer.items import Skip, WireItem, Write
from reindexer.jobs.bounded import Bounded
from reindexer.jobs.conditions import built, named
from reindexer.models import Target
from reindexer.operations.transform import prepared
from reindexer.round_context import RoundContext


class JobJudge:
    """Judges rows of one target. Raises `EnvironmentFault` where the job is not there, or has changed."""

    def __init__(self, target: Target, context: RoundContext) -> None:
        self._job, self._decider = prepared(target)
        self._run, self._mark = target.attributes.run, {"S": f"{target.stamp}/delete"}
        self._bounded: Bounded[WireItem, Write | Skip] = Bounded(self._decider, self._job.seconds, context)

    def filtered(self, parameters: dict[str, Any], unnamed: Iterable[str] = ()) -> dict[str, Any]:
        """A read for rows behind the target, narrowed to the query; with rows marked for deletion.

        A query that names an attribute of `unnamed` is left to `behind`: DynamoDB would refuse it here.
        """
        expression = f"({parameters['FilterExpression']} OR #run = :mark)"
        names: dict[str, str] = {"#run": self._run}
        values: dict[str, Any] = {":mark": self._mark}
        condition = self._decider.condition
        if condition is None or named(condition) & set(unnamed):
            expression = expression[1:-1]  # DynamoDB refuses superfluous parentheses
        else:
            asked, more_names, more_values = built(condition)
            expression += f" AND {asked}"  # boto3 puts parentheses where they are needed
            names, values = {**names, **more_names}, {**values, **more_values}
        return {
            **parameters,
            "FilterExpression": expression,
            "ExpressionAttributeNames": {**parameters["ExpressionAttributeNames"], **names},
            "ExpressionAttributeValues": {**parameters["ExpressionAttributeValues"], **values},
        }

    def marked(self, item: WireItem) -> bool:
        """Whether this run meant to delete the item."""
        return item.get(self._run) == self._mark

    def behind(self, rows: list[WireItem]) -> list[WireItem]:
        """Those that the job would still change. A row its function fails on is behind too: it was not done."""
        if self._job.process is not None:  # asked again it would do its work again: the query alone decides
            return [row for row in rows if self._decider.asks(row)]
        found: list[WireItem] = []
        done = 0
        while done < len(rows):
            results = self._bounded.run(rows[done:])
            for row, result in zip(rows[done:], results, strict=False):
                if isinstance(result, EnvironmentFault | Interrupted):
                    raise result
                if isinstance(result, Exception) or self._would_change(row, result):
                    found.append(row)
            done += len(results)
        return found

    def _would_change(self, row: WireItem, decision: Write | Skip) -> bool:
        if isinstance(decision, Skip):
            return False
        return decision.mark or not self.marked(row)  # a marked one that is to be updated now was settled so
