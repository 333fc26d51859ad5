"""Verification: an independent consistent read of what the job was about.

It shares no code with the rounds: were their reading or their judging wrong, it would be wrong in the same way.
Here DynamoDB itself judges each row, by a filter; only rows behind the target come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault, Interrupted
from reindexer.items import Key, from_json_key, key_identity
from reindexer.models import Fault, Transform, VerifyInput, VerifyResult
from reindexer.pulse import Pulse
from reindexer.verification.job import JobJudge
from reindexer.verification.pace import BEHIND, Paced
from reindexer.verification.partitions import PartitionReading

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEYS_PER_CALL = 100  # DynamoDB's limit


def verify_segment(request: VerifyInput, client: DynamoDBClient, pulse: Pulse) -> VerifyResult:
    """Count rows, and rows behind the target, in a segment, among `request.keys` or in the partitions of
    `request.values`; name up to `keep` of the latter.

    Stops at the end of the time slice or when told to, with `cursor` where to go on and `done` False; all
    numbers are those of this call alone. Waits out throttles; where there is nothing else for 5 s it hands back
    as `throttled`. A broken environment is returned as `fault`, with what was counted before; so is a service
    that failed all through the slice.
    """
    try:
        judge = JobJudge(request.target, pulse) if isinstance(request.target.operation, Transform) else None
        table = TableClient(client, request.target.table)
        if request.values is not None:
            return PartitionReading(request, table, pulse, judge).partitions(request.values)
        reading = _Reading(request, table, pulse, judge)
        return reading.segment() if request.keys is None else reading.named(request.keys)
    except EnvironmentFault as error:  # the job's code is not there, has changed, or hangs; nothing is counted
        return VerifyResult(cursor=request.cursor, fault=Fault(code=error.code, message=error.message))


class _Reading(Paced):
    """A segment, or named keys."""

    def segment(self) -> VerifyResult:
        """Page after page of a parallel scan."""
        request = self._request
        key_names = {f"#k{index}": attribute.name for index, attribute in enumerate(request.target.key)}
        fixed: dict[str, Any] = {
            "TableName": request.target.table,
            "ConsistentRead": True,  # sees every write that was acknowledged before
            "ReturnConsumedCapacity": "TOTAL",
            "FilterExpression": BEHIND,
            "ExpressionAttributeValues": {":v": {"N": str(request.target.version)}, ":n": {"S": "N"}},
        }
        if request.total > 1:  # else a plain scan: the same rows, and an engine may go by its own index
            fixed |= {"Segment": request.segment, "TotalSegments": request.total}
        named = {
            "ProjectionExpression": ",".join(key_names),
            "ExpressionAttributeNames": {"#v": self._version, **key_names},
        }
        plain = {"ExpressionAttributeNames": {"#v": self._version}}
        counted = {"Select": "COUNT", **plain}
        cursor = from_json_key(request.cursor) if request.cursor else None
        while self._may_go_on():
            # Beyond `keep`, keys would only be thrown away.
            shape = named if len(self._found) < request.keep else counted
            start = {"ExclusiveStartKey": cursor} if cursor else {}
            asked = {**fixed, **shape}
            if self._judge:  # it needs whole items, and beyond `keep` too
                asked = self._judge.filtered({**fixed, **plain})
            page = self._page("scan", {**asked, **start})
            if page is None:
                continue
            behind, rows = page["Count"], page.get("Items", [])
            if self._judge:
                try:
                    rows = self._judge.behind(rows)
                except Interrupted:
                    break
                behind = len(rows)
            self._count(page["ScannedCount"], behind, rows)
            self._spend([page.get("ConsumedCapacity") or {}], page["ScannedCount"])
            cursor = page.get("LastEvaluatedKey") or None
            if cursor is None:
                return self._result(None, done=True)
        return self._result(cursor)

    def named(self, keys: list[Key]) -> VerifyResult:
        """Named keys. One that does not exist is neither scanned nor behind. The cursor: the last one read."""
        wanted = list({key_identity(key): key for key in map(from_json_key, keys)}.values())
        cursor = from_json_key(self._request.cursor) if self._request.cursor else None
        done = 0
        if cursor is not None:
            identities = [key_identity(key) for key in wanted]
            done = identities.index(key_identity(cursor)) + 1
        while done < len(wanted):
            chunk = wanted[done : done + _KEYS_PER_CALL]
            items = self._read_all(chunk)
            if items is None:
                return self._result(cursor)
            behind = [item for item in items if self._is_behind(item)]
            if self._judge:
                try:
                    behind = self._judge.behind(behind)
                except Interrupted:
                    return self._result(cursor)
            self._count(len(items), len(behind), behind)
            done += len(chunk)
            cursor = chunk[-1]
        return self._result(None, done=True)
