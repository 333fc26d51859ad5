"""Verification: an independent consistent read of what the job was about.

It shares no code with the rounds: were their reading or their judging wrong, it would be wrong in the same way.
Here DynamoDB itself judges each row, by a filter; only rows behind the target come back.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from reindexer.dynamo.table import CallFailed, TableClient
from reindexer.dynamo.taxonomy import Action
from reindexer.errors import EnvironmentFault, Interrupted
from reindexer.items import Key, WireItem, WireKey, from_json_key, key_identity, to_json_key
from reindexer.job_verification import JobJudge
from reindexer.models import Fault, Transform, VerifyInput, VerifyResult
from reindexer.pulse import Pulse
from reindexer.throttle import backoff

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: True for a row that is not at the target: version missing, lower, or no number at all. DynamoDB never finds
#: values of two types in order; the type is asked for in case an engine does.
_BEHIND = "NOT (attribute_type(#v, :n) AND #v >= :v)"
_KEYS_PER_CALL = 100  # DynamoDB's limit
_PAGE_UNITS = 200.0  # of the 256 that 1 MB costs: rows may be a quarter larger than those of the page before
_UNITS_PER_ROW = 0.125  # read units where an engine reports none: rows of 500 bytes, 4 KB a unit


def verify_segment(request: VerifyInput, client: DynamoDBClient, pulse: Pulse) -> VerifyResult:
    """Count rows, and rows behind the target, in a segment or among `request.keys`; name up to `keep` of these.

    Stops at the end of the time slice or when told to, with `cursor` where to go on and `done` False; all
    numbers are those of this call alone. Waits out throttles. A broken environment is returned as `fault`,
    with what was counted before; so is a service that failed all through the slice.
    """
    try:
        judge = JobJudge(request.target, pulse) if isinstance(request.target.operation, Transform) else None
        reading = _Reading(request, TableClient(client, request.target.table), pulse, judge)
        return reading.segment() if request.keys is None else reading.named(request.keys)
    except EnvironmentFault as error:  # the job's code is not there, has changed, or hangs; nothing is counted
        return VerifyResult(cursor=request.cursor, fault=Fault(code=error.code, message=error.message))


class _Reading:
    """One call: its pace, and what was counted."""

    def __init__(
        self, request: VerifyInput, table: TableClient, pulse: Pulse, judge: JobJudge | None = None
    ) -> None:
        self._request, self._table, self._pulse, self._judge = request, table, pulse, judge
        self._version = request.target.attributes.version
        self._deadline = pulse.now() + request.seconds
        self._next_at = pulse.now()  # when the budget allows the next call
        self._row_units = 1.0  # read units a row, learnt from each page; up to 4 KB cost one
        self._calls = 0
        self._answered = False  # whether any call brought something
        self._down: Fault | None = None  # why nothing answers, so far
        self._tries = 0  # calls in a row that brought nothing
        self._scanned = self._behind = 0
        self._found: list[Key] = []
        self._units = 0.0
        self._fault: Fault | None = None

    def segment(self) -> VerifyResult:
        """Page after page of a parallel scan."""
        request = self._request
        key_names = {f"#k{index}": attribute.name for index, attribute in enumerate(request.target.key)}
        fixed: dict[str, Any] = {
            "TableName": request.target.table,
            "ConsistentRead": True,  # sees every write that was acknowledged before
            "ReturnConsumedCapacity": "TOTAL",
            "FilterExpression": _BEHIND,
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
            page = self._call("scan", **asked, **start, Limit=self._page_rows())
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

    def _read_all(self, chunk: list[WireKey]) -> list[WireItem] | None:
        """Those of the keys that exist; None: not all could be read before the slice was over."""
        names = {f"#k{index}": name for index, name in enumerate(chunk[0])} | {"#v": self._version}
        shape: dict[str, Any] = {}
        if self._judge is None:  # else whole items
            shape = {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
        items: list[WireItem] = []
        left: list[WireKey] = chunk
        while left:
            if not self._may_go_on():
                return None
            request = {"Keys": left, "ConsistentRead": True, **shape}
            answer = self._call(
                "batch_get_item",
                RequestItems={self._request.target.table: request},
                ReturnConsumedCapacity="TOTAL",
            )
            if answer is None:
                continue
            for found in answer["Responses"].values():
                items += found
            self._spend(answer.get("ConsumedCapacity") or [], len(left))
            unprocessed = list((answer.get("UnprocessedKeys") or {}).values())
            before, left = len(left), unprocessed[0]["Keys"] if unprocessed else []
            if len(left) == before:  # want of capacity, told by silence
                self._back_off()
        return items

    def _is_behind(self, item: WireItem) -> bool:
        """The filter's own rule, for rows read by key."""
        number = item.get(self._version, {}).get("N")
        if self._judge and self._judge.marked(item):
            return True
        return number is None or Decimal(number) < self._request.target.version

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """One attempt. None: it failed; then either `_fault` is set, or it has waited for the next one."""
        self._calls += 1
        try:
            answer = self._table.call(operation, **parameters)
        except CallFailed as failed:
            fault = Fault(code=failed.failure.code, message=failed.failure.message)
            if failed.failure.action not in (Action.WAIT, Action.RETRY):
                self._fault = fault
                return None
            # A throttle passes. Anything else that lasts for a whole slice has to be seen by a person.
            self._down = fault if failed.failure.action is Action.RETRY and not self._answered else None
            self._back_off()
            return None
        self._answered, self._down, self._tries = True, None, 0
        return answer

    def _back_off(self) -> None:
        self._tries += 1
        self._pulse.wait(backoff(self._tries))

    def _may_go_on(self) -> bool:
        """Wait until the budget allows a call. False: fault, told to stop, or slice over after one call."""
        self._pulse.beat()
        while self._fault is None and not self._pulse.stopping():
            if self._calls and self._pulse.now() >= self._deadline:
                self._fault = self._down
                return False
            wait = self._next_at - self._pulse.now()
            if wait <= 0:
                return True
            self._pulse.wait(wait)
        return False

    def _page_rows(self) -> int:
        """Rows of a page: about a second's budget, and short of the 1 MB at which DynamoDB would end it.

        An engine was seen to count a row twice in ScannedCount when it, not we, ends the page.
        """
        units = min(_PAGE_UNITS, self._request.share.read_units or _PAGE_UNITS)
        return max(1, int(units / self._row_units))

    def _count(self, scanned: int, behind: int, rows: list[WireItem]) -> None:
        self._scanned += scanned
        self._behind += behind
        names = [attribute.name for attribute in self._request.target.key]
        room = self._request.keep - len(self._found)
        self._found += [to_json_key({name: row[name] for name in names}) for row in rows[: max(0, room)]]

    def _spend(self, capacities: list[dict[str, Any]], rows: int) -> None:
        """Charge a call: the next one waits until its units have been earned."""
        reported = [float(entry["CapacityUnits"]) for entry in capacities if "CapacityUnits" in entry]
        units = sum(reported) if reported else rows * _UNITS_PER_ROW
        self._units += units
        if rows and units:
            self._row_units = units / rows
        if rate := self._request.share.read_units:
            self._next_at = max(self._next_at, self._pulse.now()) + units / rate

    def _result(self, cursor: WireKey | None, *, done: bool = False) -> VerifyResult:
        return VerifyResult(
            scanned=self._scanned,
            behind=self._behind,
            keys=self._found,
            cursor=to_json_key(cursor) if cursor else None,
            done=done,
            fault=self._fault,
            read_units=self._units,
        )
