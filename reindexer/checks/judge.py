"""Which rows a job would still change: what verification asks of a transform.

DynamoDB leaves out what is at the target or outside the query; the function says of the rest whether it would
change it. Nothing of the rounds is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from reindexer.checks.behind import RowRule
from reindexer.dynamo.wire import merged
from reindexer.errors import EnvironmentFault, Interrupted
from reindexer.items import Skip, WireItem, Write
from reindexer.jobs.bounded import Bounded
from reindexer.jobs.conditions import built, named
from reindexer.models import Target
from reindexer.operations.transform import prepared
from reindexer.round_context import RoundContext


class JobJudge:
    """Judges rows of one target in the place of its `rule`, and by it. It needs whole items.

    `query`: as of the rule. Raises `EnvironmentFault` where the job is not there, or has changed.
    """

    reads: tuple[str, ...] | None = None

    def __init__(self, target: Target, rule: RowRule, context: RoundContext, *, query: bool) -> None:
        self._job, self._decider = prepared(target)
        self._rule = rule
        #: DynamoDB would refuse them: a job's query that names one is left to `_behind`.
        self._unnamed = {attribute.name for attribute in target.key} if query else set()
        self._run, self._mark = target.attributes.run, {"S": f"{target.stamp}/delete"}
        self._bounded: Bounded[WireItem, Write | Skip] = Bounded(self._decider, self._job.seconds, context)

    def narrowed(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A Scan or Query for rows behind the target that the job's query is about, and for marked ones."""
        asked = merged(asked, self._rule.filter())
        expression = f"{asked['FilterExpression']} OR #run = :mark"
        names, values = {"#run": self._run}, {":mark": self._mark}
        condition = self._decider.condition
        if condition is not None and not named(condition) & self._unnamed:
            within, more_names, more_values = built(condition)
            expression = f"({expression}) AND {within}"  # boto3 puts parentheses where they are needed
            names, values = {**names, **more_names}, {**values, **more_values}
        return merged(
            asked,
            {
                "FilterExpression": expression,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            },
        )

    def of_page(self, page: dict[str, Any]) -> tuple[int, list[WireItem]]:
        """(how many rows of such a page are behind, these)."""
        rows = self._behind(page.get("Items", []))
        return len(rows), rows

    def among(self, items: Sequence[WireItem]) -> list[WireItem]:
        """Those behind of rows read by key."""
        return self._behind([item for item in items if self._marked(item) or self._rule.is_behind(item)])

    def _marked(self, item: WireItem) -> bool:
        """Whether this run meant to delete the item."""
        return item.get(self._run) == self._mark

    def _behind(self, rows: list[WireItem]) -> list[WireItem]:
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
        return decision.mark or not self._marked(row)  # a marked one that is to be updated now was settled so


#: What says of rows whether they are behind.
Judge: TypeAlias = RowRule | JobJudge
