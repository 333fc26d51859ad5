"""The truth about what reached the engine and what it did, key by key: a job's counts are checked against it.

It is drawn from the engine's real answers, before any of them is lost or damaged on the way back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from testbed.faults.requests import Schema, Touched, key_text, table_name, touched_by


class Verdict(StrEnum):
    """What became of one item's write, by the engine's answer."""

    APPLIED = "applied"  # a delete of what was not there, too: the engine says no more
    REFUSED = "refused"  # its condition failed
    REJECTED = "rejected"  # for another reason: invalid, in conflict, cancelled with its transaction
    UNKNOWN = "unknown"  # the engine answered 5xx or not at all


@dataclass(slots=True)
class KeyTruth:
    """The writes of one key. `forwarded` is always the sum of the four others."""

    forwarded: int = 0
    applied: int = 0
    refused: int = 0
    rejected: int = 0
    unknown: int = 0
    #: How often a write that set this run stamp was applied.
    runs: dict[str, int] = field(default_factory=dict)


class Truth(BaseModel):
    """What the proxy did and saw since its start or last reset.

    A repeated transaction under the same token counts as applied again, since the answer looks the same.
    """

    model_config = ConfigDict(extra="forbid")

    #: How often each kind of fault struck: calls, or entries of calls for the kinds that strike those.
    injected: dict[str, int]
    calls: dict[str, int]  # received, by operation
    tables: dict[str, dict[str, KeyTruth]]  # by table name and canonical key, see `key_text`
    unread: int  # writes whose key could not be found: 0, or the counts by key are not complete
    engine_lost: int  # calls that the engine did not answer
    pending: int  # requests still to be forwarded or answered by the engine: above 0, the counts may yet grow

    def key(self, table: str, key: Mapping[str, Any]) -> KeyTruth:
        """The writes of one key (in wire format); all zero if there were none."""
        return self.tables.get(table, {}).get(key_text(key)) or KeyTruth()

    def applied(self, table: str) -> int:
        """Writes applied to the table, repeated ones included."""
        return sum(key.applied for key in self.tables.get(table, {}).values())

    def changed(self, table: str, run: str) -> int:
        """Keys of the table to which a write with this run stamp was applied."""
        return sum(1 for key in self.tables.get(table, {}).values() if key.runs.get(run))

    def stamps(self, table: str) -> set[str]:
        """The run stamps with which writes were applied to the table."""
        return {stamp for key in self.tables.get(table, {}).values() for stamp in key.runs}

    def changed_twice(self, run: str) -> list[tuple[str, str]]:
        """(table, key) of each item to which writes with this run stamp were applied more than once."""
        return [
            (table, key)
            for table, keys in self.tables.items()
            for key, truth in keys.items()
            if truth.runs.get(run, 0) > 1
        ]


class Tracker:
    """The truth while it is being gathered. Not thread-safe: it lives in one event loop."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.tables: defaultdict[str, dict[str, KeyTruth]] = defaultdict(dict)
        self.unread = self.engine_lost = self.pending = 0

    def record(self, touched: Iterable[Touched], verdicts: Iterable[Verdict]) -> None:
        """Count what was forwarded and what became of it."""
        for item, verdict in zip(touched, verdicts, strict=True):
            if item.key is None:
                self.unread += verdict is not Verdict.REJECTED  # what was rejected changed nothing anyway
                continue
            keys = self.tables[item.table]
            truth = keys.get(item.key)
            if truth is None:
                truth = keys[item.key] = KeyTruth()
            truth.forwarded += 1
            if verdict is Verdict.APPLIED:
                truth.applied += 1
                if item.run is not None:
                    truth.runs[item.run] = truth.runs.get(item.run, 0) + 1
            else:
                setattr(truth, verdict, getattr(truth, verdict) + 1)

    def as_json(self) -> bytes:
        """A `Truth`, as JSON."""
        names = ("calls", "tables", "unread", "engine_lost", "pending")
        injected = {str(kind): count for kind, count in self.injected.items()}  # orjson wants plain strings
        return orjson.dumps({"injected": injected, **{name: getattr(self, name) for name in names}})


def verdicts(
    operation: str,
    touched: Sequence[Touched],
    status: int,
    body: bytes,
    schemas: Mapping[str, Schema],
) -> list[Verdict]:
    """What became of each of `touched`, by the engine's answer to the call."""
    if status >= 500:  # HTTP's class of server errors
        return [Verdict.UNKNOWN] * len(touched)
    if status == 200:
        if operation == "BatchExecuteStatement" and b'"Error"' in body:
            return _of_statements(touched, orjson.loads(body).get("Responses", []))
        if operation == "BatchWriteItem" and b"Request" in body:  # a PutRequest or DeleteRequest came back
            return _of_batch_write(touched, orjson.loads(body).get("UnprocessedItems") or {}, schemas)
        return [Verdict.APPLIED] * len(touched)
    if b"TransactionCanceledException" in body:
        return _of_transaction(touched, orjson.loads(body).get("CancellationReasons") or [])
    failed = b"ConditionalCheckFailedException" in body
    return [Verdict.REFUSED if failed else Verdict.REJECTED] * len(touched)


def _by_code(code: str | None) -> Verdict:
    if code == "ConditionalCheckFailed":
        return Verdict.REFUSED
    return Verdict.UNKNOWN if code == "InternalServerError" else Verdict.REJECTED


def _of_statements(touched: Sequence[Touched], responses: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    errors = [response.get("Error") for response in responses]
    return [
        Verdict.UNKNOWN
        if item.entry >= len(errors)
        else _by_code(error.get("Code"))
        if (error := errors[item.entry])
        else Verdict.APPLIED
        for item in touched
    ]


def _of_batch_write(
    touched: Sequence[Touched], unprocessed: Mapping[str, Any], schemas: Mapping[str, Schema]
) -> list[Verdict]:
    left = touched_by("BatchWriteItem", {"RequestItems": unprocessed}, schemas, None)
    names = {(table_name(item.table), item.key) for item in left}
    return [Verdict.REJECTED if (t.table, t.key) in names else Verdict.APPLIED for t in touched]


def _of_transaction(touched: Sequence[Touched], reasons: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    codes = [reason.get("Code") for reason in reasons]
    return [_by_code(codes[item.entry] if item.entry < len(codes) else None) for item in touched]
