"""Pace, counts and calls of one verifying read, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from reindexer.answers import Action, CallFailed, Scope
from reindexer.checks.judge import JobJudge
from reindexer.dynamo.table import TableClient
from reindexer.items import Key, WireItem, WireKey, to_json_key
from reindexer.models import Fault, VerifyInput, VerifyResult
from reindexer.operations import verb_of
from reindexer.round_context import RoundContext
from reindexer.throttle import backoff

#: True for a row that is not at the target: version missing, lower, or no number at all. DynamoDB never finds
#: values of two types in order; the type is asked for in case an engine does.
BEHIND = "NOT (attribute_type(#v, :n) AND #v >= :v)"
#: True for a row that carries either attribute: what is behind of a job that removes them.
STAMPED = "attribute_exists(#v) OR attribute_exists(#r)"
#: True for a row that the job was to leave alone.
_EXPIRED = "attribute_type(#ttl, :n) AND #ttl >= :first AND #ttl < :before"
_PAGE_UNITS = 200.0  # of the 256 that 1 MB costs: rows may be a quarter larger than those of the page before
_PAGE_ROWS = 2000  # larger pages of small rows made the embedded engine a tenth slower, and none faster
_THROTTLED_SECONDS = 5.0  # nothing but throttles: hand back, as a round does; the workflow waits longer
_UNITS_PER_ROW = 0.125  # read units where an engine reports none: rows of 500 bytes, 4 KB a unit

#: Keeps keys of rows behind, with the partition of each (none where the job does not count by partitions).
KeepKeys: TypeAlias = Callable[[list[Key], list[str]], None]


class Paced:
    """One call: its pace, and what was counted. `keep` None: rows behind are only counted."""

    def __init__(
        self,
        request: VerifyInput,
        table: TableClient,
        context: RoundContext,
        judge: JobJudge | None = None,
        keep: KeepKeys | None = None,
    ) -> None:
        self._request, self._table, self._context, self._judge = request, table, context, judge
        self._keep = keep
        self._version, self._run = request.target.attributes.version, request.target.attributes.run
        self._expiry, self._stamps = request.target.expiry, verb_of(request.target.operation).stamps
        self._deadline = context.now() + request.seconds
        self._patience = min(_THROTTLED_SECONDS, request.seconds / 2)  # else a short slice would be over first
        self._next_at = context.now()  # when the budget allows the next call
        self._row_units = 1.0  # read units a row, learnt from each page; up to 4 KB cost one
        self._calls = 0
        self._answered = False  # whether any call brought something
        self._down: Fault | None = None  # why nothing answers, so far
        self._tries = 0  # calls in a row that brought nothing
        self._throttled_at: float | None = None  # since when there were only throttles
        self._throttled = False  # for too long
        self._scope: Scope | None = None  # how far they reach
        self._scanned = self._behind = 0
        self._cursor = request.cursor
        self._before_end: VerifyResult | None = None  # where it was before the last page; None: not at the end
        self._units = 0.0
        self._fault: Fault | None = None
        context.heartbeat(self.progress)

    def _filter(self, *, expired: bool = True) -> dict[str, Any]:
        """What makes a read return rows behind the target alone. `expired` False: also those left alone."""
        asked: dict[str, Any] = {
            "FilterExpression": BEHIND,
            "ExpressionAttributeNames": {"#v": self._version},
            "ExpressionAttributeValues": {":v": {"N": str(self._request.target.version)}, ":n": {"S": "N"}},
        }
        if not self._stamps:
            asked = {
                "FilterExpression": STAMPED if self._expiry is None or not expired else f"({STAMPED})",
                "ExpressionAttributeNames": {"#v": self._version, "#r": self._run},
            }
        if self._expiry is not None and expired:
            asked["FilterExpression"] += f" AND NOT ({_EXPIRED})"
            asked["ExpressionAttributeNames"]["#ttl"] = self._expiry.attribute
            asked["ExpressionAttributeValues"] = asked.get("ExpressionAttributeValues", {}) | {
                ":n": {"S": "N"},
                ":first": {"N": str(self._expiry.first)},
                ":before": {"N": str(self._expiry.before)},
            }
        return asked

    def _read_all(self, chunk: list[WireKey], also: Sequence[str] = ()) -> list[WireItem] | None:
        """Those of the keys that exist; None: not all could be read before the slice was over.

        Where no job judges, they hold their keys, version and run attribute and what is named in `also`.
        """
        ttl = [self._expiry.attribute] if self._expiry else []
        wanted = dict.fromkeys((*chunk[0], *also, *ttl, self._version, self._run))
        names = {f"#k{index}": name for index, name in enumerate(wanted)}
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
            unprocessed = list((answer.get("UnprocessedKeys") or {}).values())
            before, left = len(left), unprocessed[0]["Keys"] if unprocessed else []
            self._spend(answer.get("ConsumedCapacity") or [], before - len(left))
            if len(left) == before:  # lack of capacity, reported by no error
                self._refused(None)
                self._back_off()
            else:
                self._throttled_at = None
        return items

    def _is_behind(self, item: WireItem) -> bool:
        """The filter's own rule, for rows read by key."""
        if not self._stamps:
            return (self._version in item or self._run in item) and not self._left_alone(item)
        number = item.get(self._version, {}).get("N")
        if self._judge and self._judge.marked(item):
            return True
        if number is not None and Decimal(number) >= self._request.target.version:
            return False
        return not self._left_alone(item)

    def _left_alone(self, item: WireItem) -> bool:
        """Likewise for what had expired when the job began."""
        expiry = self._expiry
        number = item.get(expiry.attribute, {}).get("N") if expiry else None
        return expiry is not None and number is not None and expiry.first <= Decimal(number) < expiry.before

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """One attempt. None: it failed; then either `_fault` is set, or it has waited for the next one."""
        self._calls += 1
        try:
            answer = self._table.call(operation, **parameters)
        except CallFailed as failed:
            fault = Fault.of(failed.failure)
            if failed.failure.action is Action.WAIT:
                self._refused(failed.failure.scope)
            else:
                self._throttled_at = None
            if failed.failure.action not in (Action.WAIT, Action.RETRY):
                self._fault = fault
                return None
            # A throttle passes. Anything else that lasts for a whole slice has to be seen by a person.
            self._down = fault if failed.failure.action is Action.RETRY and not self._answered else None
            self._back_off()
            return None
        self._answered, self._down, self._tries = True, None, 0
        return answer

    def _refused(self, scope: Scope | None) -> None:
        """For want of capacity."""
        self._scope = scope or self._scope
        if self._throttled_at is None:
            self._throttled_at = self._context.now()

    def _back_off(self) -> None:
        self._tries += 1
        self._context.wait(backoff(self._tries))

    def _may_go_on(self) -> bool:
        """Wait until the budget allows a call. False: fault, asked to stop, or slice over after one call."""
        self._context.heartbeat()
        while self._fault is None and not self._context.stopping():
            if self._throttled_at is not None:
                self._throttled = self._context.now() - self._throttled_at > self._patience
                if self._throttled:
                    return False
            if self._calls and self._context.now() >= self._deadline:
                self._fault = self._down
                return False
            wait = self._next_at - self._context.now()
            if wait <= 0:
                return True
            self._context.wait(wait)
        return False

    def _page(
        self, operation: str, parameters: Mapping[str, Any], most: int | None = None
    ) -> dict[str, Any] | None:
        """A page of `scan` or `query`, of at most `most` rows; None as from `_call`.

        An engine was seen to count a row too many in ScannedCount where 1 MB, not our limit, ends the page. So
        a page that comes short is asked for once more, a row shorter.
        """
        limit = self._page_rows() if most is None else min(most, self._page_rows())
        page = self._call(operation, **parameters, Limit=limit)
        if page is None or not page.get("LastEvaluatedKey") or page["ScannedCount"] >= limit:
            return page
        self._spend([page.get("ConsumedCapacity") or {}], page["ScannedCount"])
        if not self._may_go_on():
            return None
        return self._call(operation, **parameters, Limit=max(1, page["ScannedCount"] - 1))

    def _page_rows(self) -> int:
        """Rows of a page: about a second's budget at most, and short of the 1 MB at which DynamoDB ends it."""
        units = min(_PAGE_UNITS, self._request.share.read_units or _PAGE_UNITS)
        return max(1, min(_PAGE_ROWS, int(units / self._row_units)))

    def _count(
        self,
        scanned: int,
        behind: int,
        rows: list[WireItem],
        cursor: WireKey | None,
        partition: str | None = None,
    ) -> None:
        """Take in a page: its counts, and the cursor that covers it; None: it was the last one.

        The keys of `rows` are kept before: an attempt that dies in between finds them behind once more.
        """
        if self._keep and rows:
            names = [attribute.name for attribute in self._request.target.key]
            keys = [to_json_key({name: row[name] for name in names}) for row in rows]
            self._keep(keys, [] if partition is None else [partition] * len(keys))
        self._throttled_at = None
        if cursor is None:
            self._before_end = self.progress()
        self._scanned += scanned
        self._behind += behind
        self._cursor = to_json_key(cursor) if cursor else None

    def _spend(self, capacities: list[dict[str, Any]], rows: int) -> None:
        """Charge a call: the next one waits until its units have been earned."""
        reported = [float(entry["CapacityUnits"]) for entry in capacities if "CapacityUnits" in entry]
        units = sum(reported) if reported else rows * _UNITS_PER_ROW
        self._units += units
        if rows and units:
            self._row_units = units / rows
        if rate := self._request.share.read_units:
            self._next_at = max(self._next_at, self._context.now()) + units / rate

    def fail(self, fault: Fault) -> None:
        """It cannot go on, for this reason."""
        self._fault = fault

    def progress(self) -> VerifyResult:
        """Its state, for a heartbeat: never at the end, since the table is still to be checked."""
        return self._before_end or self.result()

    def result(self) -> VerifyResult:
        """Its state: the counts cover exactly what was read up to the cursor."""
        return VerifyResult(
            scanned=self._scanned,
            behind=self._behind,
            cursor=self._cursor,
            done=self._before_end is not None,
            fault=self._fault,
            read_units=self._units,
            throttled=self._throttled,
            throttle=self._scope.value if self._throttled and self._scope else None,
        )
