"""An in-memory DynamoDB table that stands in for boto3's client, with faults and other writers by schedule.

It evaluates what the engine sends, so that a condition the engine forgot is not kept by the model either.
Besides it keeps the ground truth that no client ever sees: what was applied, how often, under which stamp, and
which write never got its answer.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.model_statements import Statement, parse_delete, parse_put, parse_statement, parse_update

Item = dict[str, Any]
Identity = tuple[Any, ...]

#: What a whole call may meet: before = nothing was applied, after = everything was, late = it will be.
CALL_FAULTS = (
    "500 before", "500 after", "502 after", "timeout before", "timeout after", "timeout late", "no connection",
    "throttled", "short answer", "killed before", "killed after", "killed late",
)  # fmt: skip
#: What one statement inside a 200 may meet.
STATEMENT_FAULTS = ("500 before", "500 after", "500 late", "throttled", "conflict")
#: What a read may meet.
READ_FAULTS = (
    "500 before",
    "timeout before",
    "throttled",
    "no connection",
    "unprocessed half",
    "unprocessed all",
)
#: What other writers do between two calls.
WRITERS = ("touch", "replace", "delete", "recreate", "bump", "same version")
#: How a statement and a call of its own name the refusal to create what exists.
_AS_PUT = ("DuplicateItem", "ConditionalCheckFailed")


class Killed(BaseException):
    """The worker process died here; nothing of the engine may catch it."""


@dataclass
class Clock:
    """Seconds that pass only when something takes them."""

    now: float = 1000.0  # any value but 0, which would hide a forgotten beginning


@dataclass
class Plan:
    """What one call meets: a fault of the call, of its statements or its answer; and who wrote before it."""

    call: str | None = None
    statements: Mapping[int, str] = field(default_factory=dict)
    strip_items: bool = False  # failed conditions come back without the stored item
    late_by: int = 1  # calls until a late request lands
    writers: tuple[tuple[str, int], ...] = ()  # (what, number of the row)


class ModelTable:
    """`plan(n)` tells what the n-th call meets; without one all is well."""

    def __init__(
        self,
        rows: Iterable[Item],
        key_names: tuple[str, ...] = ("id",),
        *,
        name: str = "t",
        clock: Clock | None = None,
        plan: Callable[[int], Plan | None] = lambda _: None,
        page_rows: int = 1000,
        stamp: tuple[str, str, int, str] = ("reindexVersion", "reindexRun", 7, "run-1"),
    ) -> None:
        self.name, self.key_names, self.clock, self.plan, self.page_rows = (
            name, key_names, clock or Clock(), plan, page_rows,
        )  # fmt: skip
        self._version, self._run, self._target, self._ours = stamp
        self.rows: dict[Identity, Item] = {}
        for row in rows:
            self.rows[self.identity(row)] = dict(row)
        self.first = dict(self.rows)  # the table as it was; items are replaced, never mutated
        self.poison: set[Identity] = set()  # any call that names one is refused as a whole
        self.refusal = "ValidationException"  # by this code
        self.failing: dict[Identity, str] = {}  # a statement fault that a record always meets
        self.denied_from: int | None = None  # access denied from this call on
        self.calls = 0
        self.log: list[str] = []
        self.batches: list[list[Identity]] = []
        self._late: list[tuple[int, Statement]] = []
        # Ground truth.
        self.changed: Counter[Identity] = Counter()  # how often each key was changed under our stamp
        self.stamped: set[Identity] = set()  # carries our stamp, by our write
        self.unstamped: Counter[Identity] = Counter()  # how often each key lost its stamp by our write
        self.changed_twice: list[Identity] = []  # changed again although it had kept its stamp
        self.unanswered: set[Identity] = set()  # a write was sent, and neither it nor a later one was answered
        self.behind_an_error: set[Identity] = set()  # changed by a write whose sender got an error
        self.disturbed: set[Identity] = set()  # touched by another writer
        self.rows_read = 0
        self.filter: Callable[[Item], bool] = lambda _: True  # what a scan's FilterExpression would keep
        self.deleted: Counter[Identity] = Counter()  # how often each key was deleted by us
        self.lag = 0  # calls by which an eventually consistent scan lags behind
        self._images: list[dict[Identity, Item]] = []  # the table at each call, where scans lag
        self.consistent_scans: list[bool] = []

    # ── Keys and order ─────────────────────────────────────────────────────────────────────────────────────

    def identity(self, item: Item) -> Identity:
        return tuple(
            (kind, Decimal(content) if kind == "N" else content)
            for name in self.key_names
            for kind, content in item[name].items()
        )

    @staticmethod
    def _order(identity: Identity) -> str:
        return hashlib.sha256(repr(identity).encode()).hexdigest()

    def upto(self, key: Item) -> list[Identity]:
        """Keys that were there at the beginning, in scan order, up to and with `key`."""
        last = self._order(self.identity(key))
        return [identity for identity in self.first if self._order(identity) <= last]

    # ── boto3's client, as far as the engine uses it ───────────────────────────────────────────────────────

    def scan(
        self,
        *,
        Limit: int | None = None,
        ExclusiveStartKey: Item | None = None,
        ConsistentRead: bool = False,
        **_: Any,
    ) -> Item:
        self._begin("scan", "Scan")
        self.consistent_scans.append(ConsistentRead)
        late = self.lag and not ConsistentRead
        rows = self._images[max(0, len(self._images) - 1 - self.lag)] if late else self.rows
        after = self._order(self.identity(ExclusiveStartKey)) if ExclusiveStartKey else ""
        order = sorted((identity for identity in rows if self._order(identity) > after), key=self._order)
        most = min(Limit or self.page_rows, self.page_rows)
        items = [dict(rows[identity]) for identity in order[:most]]
        scanned, last = len(items), items[-1] if items else {}
        items = [item for item in items if self.filter(item)]
        self.rows_read += len(items)
        answer: Item = {"Items": items, "Count": len(items), "ScannedCount": scanned}
        if len(order) > most or scanned == most:  # DynamoDB, too, names a last key when the limit was met
            answer["LastEvaluatedKey"] = {name: last[name] for name in self.key_names}
        return answer | {"ConsumedCapacity": {"CapacityUnits": 0.5 * max(1, len(items))}}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any], **_: Any) -> Item:
        fault = self._begin("get", "BatchGetItem").call
        keys = list(RequestItems[self.name]["Keys"])
        done = len(keys) // 2 if fault == "unprocessed half" else 0 if fault == "unprocessed all" else len(keys)
        found = [dict(self.rows[i]) for key in keys[:done] if (i := self.identity(key)) in self.rows]
        left = {self.name: {"Keys": keys[done:]}} if keys[done:] else {}
        return {"Responses": {self.name: found}, "UnprocessedKeys": left}

    def batch_execute_statement(self, *, Statements: list[Item], **_: Any) -> Item:
        parsed = [
            parse_statement(entry["Statement"], entry["Parameters"], self.key_names) for entry in Statements
        ]
        plan = self._begin("write", "BatchExecuteStatement", parsed)
        answers: list[Item] = []
        for number, statement in enumerate(parsed):
            error = self._one(statement, plan, plan.statements.get(number))
            answers.append({"TableName": self.name, **({"Error": error} if error else {})})
        if plan.call == "short answer":
            answers = answers[: len(parsed) // 2]
        wrote = sum("Error" not in answer for answer in answers)
        return {"Responses": answers, "ConsumedCapacity": [{"CapacityUnits": float(wrote)}] if wrote else []}

    def update_item(self, **request: Any) -> Item:
        statement = parse_update(request)
        plan = self._begin("write", "UpdateItem", [statement])
        if plan.call == "short answer":  # there is one statement, and one answer
            plan = replace(plan, call=None)
        error = self._one(statement, plan, plan.statements.get(0))
        if error:
            raise self._single("UpdateItem", error)
        return {"ConsumedCapacity": {"CapacityUnits": 1.0}}

    def delete_item(self, **request: Any) -> Item:
        statement = parse_delete(request)
        plan = self._begin("write", "DeleteItem", [statement])
        error = self._one(statement, plan, plan.statements.get(0))
        if error:
            raise self._single("DeleteItem", error)
        return {"ConsumedCapacity": {"CapacityUnits": 1.0}}

    def put_item(self, **request: Any) -> Item:
        statement = parse_put(request, self.key_names)
        plan = self._begin("write", "PutItem", [statement])
        error = self._one(statement, plan, plan.statements.get(0))
        if error:
            raise self._single("PutItem", {**error, "Code": error["Code"].replace(*_AS_PUT)})
        return {"ConsumedCapacity": {"CapacityUnits": 1.0}}

    def land(self) -> None:
        """Whatever was sent and is still under way arrives."""
        for _, statement in self._late:
            self._apply(statement)
        self._late = []

    # ── What a call meets ──────────────────────────────────────────────────────────────────────────────────

    def _begin(self, what: str, operation: str, statements: list[Statement] | None = None) -> Plan:
        self.calls += 1
        self.clock.now += 0.01  # about what a call takes
        self.log.append(what)
        if self.lag:
            self._images.append(dict(self.rows))
        for due, statement in self._late:
            if due <= self.calls:
                self._apply(statement)
        self._late = [entry for entry in self._late if entry[0] > self.calls]
        plan = self.plan(self.calls) or Plan()
        self._others(plan)
        if self.denied_from is not None and self.calls >= self.denied_from:
            raise self._error(operation, "AccessDeniedException", 400)
        keys = [self.identity(statement.key) for statement in statements or []]
        if statements is not None:
            assert len(set(keys)) == len(keys), "one key twice in a batch"
            assert len(keys) <= 25, "more statements than DynamoDB takes"
            self.batches.append(keys)
        if set(keys) & self.poison:
            raise self._error(operation, self.refusal, 400)
        self._whole_call(plan, operation, statements, set(keys))
        return plan

    def _others(self, plan: Plan) -> None:
        """What other writers do before a call."""
        for writer, number in plan.writers:
            self.other_writer(writer, sorted(self.first)[number % len(self.first)])

    def _whole_call(
        self, plan: Plan, operation: str, statements: list[Statement] | None, keys: set[Identity]
    ) -> None:
        fault = plan.call or ""
        name, _, when = fault.rpartition(" ")
        if fault in ("short answer", "") or name == "unprocessed":
            return
        if name == "killed" and statements is None:
            raise Killed
        if fault == "throttled":
            raise self._error(operation, "ThrottlingException", 400)
        if fault in ("NeverHeardOf", "RequestTimeTooSkewed"):
            raise self._error(operation, fault, 400)
        if fault == "no connection":
            raise EndpointConnectionError(endpoint_url="http://model")
        if when == "after":
            for statement in statements or []:
                self._apply(statement)
        elif when == "late":
            self._late += [(self.calls + plan.late_by, statement) for statement in statements or []]
        self.unanswered |= keys
        if name == "killed":
            raise Killed
        if name == "timeout":
            self.clock.now += 5.0  # the client's read time-out
            raise ReadTimeoutError(endpoint_url="http://model")
        raise self._error(operation, "InternalServerError" if name == "500" else name, int(name))

    def _one(self, statement: Statement, plan: Plan, fault: str | None) -> Item | None:
        """Apply one statement of a call that arrived; its error, or None."""
        identity = self.identity(statement.key)
        fault = self.failing.get(identity, fault)
        if fault == "throttled":
            return {"Code": "ThrottlingError", "Message": "slow down"}
        if fault == "invalid":
            return {"Code": "ValidationError", "Message": "never"}
        if fault == "NeverHeardOf":
            return {"Code": fault, "Message": fault}
        if fault == "conflict":
            return {"Code": "TransactionConflict", "Message": "in a transaction"}
        if fault:
            self.unanswered.add(identity)
            if fault == "500 after":
                self._apply(statement)
            elif fault == "500 late":
                self._late.append((self.calls + plan.late_by, statement))
            return {"Code": "InternalServerError", "Message": "internal"}
        torn = plan.call == "short answer"  # the client cannot tell which of its statements were answered
        if torn:
            self.unanswered.add(identity)
        else:
            self.unanswered.discard(identity)
        if self._apply(statement, answered=not torn):
            return None
        if statement.create:  # AWS does not say what is there
            return {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}
        error: Item = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
        if identity in self.rows and not plan.strip_items:
            error["Item"] = dict(self.rows[identity])
        return error

    def _apply(self, statement: Statement, *, answered: bool = False) -> bool:
        identity = self.identity(statement.key)
        item = self.rows.get(identity)
        if statement.create:
            if item is None:
                self.rows[identity] = {**statement.key, **statement.sets}
            return item is None
        if item is None and statement.delete:
            return not statement.must_exist  # as AWS: without a condition to delete what is not there succeeds
        if item is None or not self._holds(statement, item):
            return False
        if statement.delete:
            del self.rows[identity]
            self.stamped.discard(identity)
            self.deleted[identity] += 1
            return True
        new = {**item, **statement.sets}
        for name in statement.removes:
            new.pop(name, None)
        self.rows[identity] = new
        if not statement.sets:
            self.unstamped[identity] += 1
            if not answered:
                self.behind_an_error.add(identity)
        if self._stamped(new):
            if identity in self.stamped:
                self.changed_twice.append(identity)
            self.changed[identity] += 1
            if not answered:
                self.behind_an_error.add(identity)
            self.stamped.add(identity)
        return True

    @staticmethod
    def _holds(statement: Statement, item: Item) -> bool:
        for name, value in statement.guards:
            if item.get(name) != value:
                return False
        if statement.below is None:
            return True
        name, value = statement.below
        stored = item.get(name)
        return stored is None or "N" not in stored or Decimal(stored["N"]) < Decimal(value["N"])

    def _stamped(self, item: Item) -> bool:
        ours = {self._version: {"N": str(self._target)}, self._run: {"S": self._ours}}
        return all(item.get(name) == value for name, value in ours.items())

    def other_writer(self, what: str, identity: Identity) -> None:
        """Someone else's write, right now."""
        item = self.rows.get(identity)
        self.disturbed.add(identity)
        first = self.first[identity]
        if what == "delete":
            self.rows.pop(identity, None)
        elif item is None:
            if what == "recreate":
                self.rows[identity] = {name: first[name] for name in self.key_names}
        elif what == "touch":
            self.rows[identity] = {**item, "other": {"S": "x"}}
        elif what == "replace":
            self.rows[identity] = {name: first[name] for name in self.key_names}
        elif what in ("bump", "same version"):
            version = self._target + (1 if what == "bump" else 0)
            stamp = {self._version: {"N": str(version)}, self._run: {"S": "other"}}
            self.rows[identity] = {**item, **stamp}
        if identity not in self.rows or not self._stamped(self.rows[identity]):
            self.stamped.discard(identity)

    def _single(self, operation: str, error: Item) -> ClientError:
        """A statement's error as the call of one item tells it."""
        status = 500 if error["Code"] == "InternalServerError" else 400
        internal = error["Code"] == "InternalServerError"
        name = error["Code"] if internal else error["Code"].removesuffix("Error") + "Exception"
        return self._error(operation, name, status, error.get("Item"))

    def _error(self, operation: str, code: str, status: int, item: Item | None = None) -> ClientError:
        response: Any = {
            "Error": {"Code": code, "Message": code},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        if item is not None:
            response["Item"] = item
        return ClientError(response, operation)
