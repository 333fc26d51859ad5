"""Verification: an independent consistent read of what the job was about.

It shares no code with the rounds: were their reading or their judging wrong, it would be wrong in the same way.
Here DynamoDB itself judges each row, by a filter; only rows behind the target come back.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from reindexer.checks.judge import JobJudge
from reindexer.checks.pace import KeepKeys, Paced
from reindexer.checks.partitions import PartitionReading
from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Interrupted, one_line
from reindexer.items import Key, from_json_key, key_identity
from reindexer.models import Fault, KeyList, PartitionRanges, Segment, VerifyInput, VerifyResult
from reindexer.operations import verb_of
from reindexer.round_context import RoundContext

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

_KEYS_PER_CALL = 100  # DynamoDB's limit


def verify_segment(
    request: VerifyInput, client: DynamoDBClient, context: RoundContext, keep: KeepKeys | None = None
) -> VerifyResult:
    """Count rows, and rows behind the target, in the source; hand keys of the latter to `keep`, page by page.

    Stops at the end of the time slice or when asked to, with `cursor` where to go on and `done` False; all
    numbers are those of this call alone. Waits out throttles; where there is nothing else for 5 s it hands back
    as `throttled`. A broken environment is returned as `fault`, with what was counted before; so is a service
    that failed all through the slice, and what should not have been raised. What `keep` has taken may be handed
    to it again, never less than what is counted.
    """
    table = TableClient(client, request.target.table)
    try:
        judge = JobJudge(request.target, context) if verb_of(request.target.operation).runs_job else None
    except EnvironmentFault as error:  # the job's code is not there, or has changed
        return VerifyResult(cursor=request.cursor, fault=Fault.of(error))
    by_partition = isinstance(request.source, PartitionRanges)
    reading = (PartitionReading if by_partition else _Reading)(request, table, context, judge, keep)
    try:
        if isinstance(reading, PartitionReading):
            reading.partitions()
        else:
            reading.read()
    except Interrupted:  # in a job's function: the page counts for nothing, and is read again
        pass
    except EnvironmentFault as error:  # the job hangs, or the ledger cannot be written
        reading.fail(Fault.of(error))
    except Exception as error:  # a defect: what was counted before is not lost for it
        log.exception("verification of %s failed", request.target.table)
        reading.fail(Fault(code=type(error).__name__, message=one_line(error)))
    return reading.result()


class _Reading(Paced):
    """A segment, or named keys."""

    def read(self) -> None:
        source = self._request.source
        if isinstance(source, Segment):
            self._segment(source)
        else:
            assert isinstance(source, KeyList), "a kept list is fetched before it is read"
            self._named(source.keys)

    def _segment(self, source: Segment) -> None:
        """Page after page of a parallel scan."""
        request = self._request
        fixed: dict[str, Any] = {
            "TableName": request.target.table,
            "ConsistentRead": True,  # sees every write that was acknowledged before
            "ReturnConsumedCapacity": "TOTAL",
            **self._filter(),
        }
        if source.total > 1:  # else a plain scan: the same rows, and an engine may go by its own index
            fixed |= {"Segment": source.segment, "TotalSegments": source.total}
        if self._judge:  # it needs whole items, also where they are only counted
            asked = self._judge.filtered(fixed)
        else:
            asked = {**fixed, **self._shape(fixed["ExpressionAttributeNames"])}
        cursor = from_json_key(request.cursor) if request.cursor else None
        while self._may_go_on():
            start = {"ExclusiveStartKey": cursor} if cursor else {}
            page = self._page("scan", {**asked, **start})
            if page is None:
                continue
            self._spend([page.get("ConsumedCapacity") or {}], page["ScannedCount"])
            behind, rows = page["Count"], page.get("Items", [])
            if self._judge:
                rows = self._judge.behind(rows)
                behind = len(rows)
            cursor = page.get("LastEvaluatedKey") or None
            self._count(page["ScannedCount"], behind, rows, cursor)
            if cursor is None:
                return

    def _shape(self, filtered: dict[str, str]) -> dict[str, Any]:
        """The keys alone, or where they are not kept a number. `filtered`: the names in the filter."""
        if self._keep is None:
            return {"Select": "COUNT"}
        names = {f"#k{index}": attribute.name for index, attribute in enumerate(self._request.target.key)}
        return {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": {**filtered, **names}}

    def _named(self, keys: list[Key]) -> None:
        """Named keys. One that does not exist is neither scanned nor behind. The cursor: the last one read."""
        wanted = list({key_identity(key): key for key in map(from_json_key, keys)}.values())
        done = 0
        if self._request.cursor:
            identities = [key_identity(key) for key in wanted]
            done = identities.index(key_identity(from_json_key(self._request.cursor))) + 1
        while done < len(wanted):
            chunk = wanted[done : done + _KEYS_PER_CALL]
            items = self._read_all(chunk)
            if items is None:
                return
            behind = [item for item in items if self._is_behind(item)]
            if self._judge:
                behind = self._judge.behind(behind)
            done += len(chunk)
            self._count(len(items), len(behind), behind, chunk[-1] if done < len(wanted) else None)
        if not wanted:
            self._count(0, 0, [], None)
