"""Pace, counts and calls of one verifying read, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from reindexer.checks.calls import Calls
from reindexer.checks.judge import JobJudge
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import projection
from reindexer.items import Key, WireItem, WireKey, to_json_key
from reindexer.models import VerifyInput, VerifyResult
from reindexer.operations import verb_of
from reindexer.round_context import RoundContext

#: True for a row that is not at the target: version missing, lower, or no number at all. DynamoDB never finds
#: values of two types in order; the type is asked for in case an engine does.
BEHIND = "NOT (attribute_type(#v, :n) AND #v >= :v)"
#: True for a row that carries either attribute: what is behind of a job that removes them.
STAMPED = "attribute_exists(#v) OR attribute_exists(#r)"
#: True for a row that the job was to leave alone.
_EXPIRED = "attribute_type(#ttl, :n) AND #ttl >= :first AND #ttl < :before"

#: Keeps keys of rows behind, with the partition of each (none where the job does not count by partitions).
KeepKeys: TypeAlias = Callable[[list[Key], list[str]], None]


class Paced(Calls):
    """One call: its pace, and what was counted. `keep` None: rows behind are only counted."""

    def __init__(
        self,
        request: VerifyInput,
        table: TableClient,
        context: RoundContext,
        judge: JobJudge | None = None,
        keep: KeepKeys | None = None,
    ) -> None:
        super().__init__(table, context, request.share.read_units, request.seconds)
        self._request, self._judge, self._keep = request, judge, keep
        self._version, self._run = request.target.attributes.version, request.target.attributes.run
        self._expiry, self._stamps = request.target.expiry, verb_of(request.target.operation).stamps
        self._scanned = self._behind = 0
        self._cursor = request.cursor
        self._before_end: VerifyResult | None = None  # where it was before the last page; None: not at the end
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
        if self._judge is not None:  # it needs whole items
            return self._get_all(chunk, {})
        ttl = [self._expiry.attribute] if self._expiry else []
        return self._get_all(chunk, projection((*chunk[0], *also, *ttl, self._version, self._run)))

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
