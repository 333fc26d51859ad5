"""Quarantined records: given up for good, until someone redrives or discards them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection
from decimal import Context, Decimal
from typing import Literal

from reindexer.items import Key, from_json_key, key_identity
from reindexer.ledger.store import ConditionFailed, Store, text
from reindexer.models import FailurePage, QuarantineEntry

#: Writes equal numbers alike (1 and 1.0 are one record); Python's own context would round to 28 digits.
_EXACT = Context(prec=100)

#: How the reason of an entry begins that a redrive took over: it is open as one of the redrive's own failures.
GIVEN_UP_AGAIN = "given up again by "
_GIVEN_UP_AGAIN_BY = re.compile(re.escape(GIVEN_UP_AGAIN) + r"run (?P<run>\S+) of job (?P<job>.+)", re.DOTALL)

State = Literal["open", "redriven", "discarded"]

#: The attribute of an item that has the order of what was given up.
_ORDER = "order"


class Failures:
    """Quarantined records by job, run and key."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, entry: QuarantineEntry) -> None:
        """List a record as given up. Repeated for the same job, run and key it stays one entry.

        An entry that was closed meanwhile stays closed: a late repetition must not open it again. A later
        change of the same record that a follow gives up does, and is never replaced by an earlier one.
        """
        try:
            self._store.call(
                "put_item",
                Item={
                    "pk": {"S": _partition(entry.job, entry.run)},
                    "sk": {"S": place_of(entry.key)},
                    "entry": {"S": entry.model_dump_json()},
                    "error": {"S": entry.error or "?"},
                    "open": {"BOOL": entry.state == "open"},
                    _ORDER: _order_of(entry),
                },
                ConditionExpression="attribute_not_exists(pk) OR #n < :n OR (#o = :true AND NOT #n > :n)",
                ExpressionAttributeNames={"#o": "open", "#n": _ORDER},
                ExpressionAttributeValues={":true": {"BOOL": True}, ":n": _order_of(entry)},
            )
        except ConditionFailed:
            return

    def page(
        self,
        job: str,
        run: str,
        *,
        error: str | None = None,
        limit: int = 50,
        after: str | None = None,
        state: State = "open",
    ) -> FailurePage:
        """Counts by error class over all entries in `state`, and one page of them, of one class if `error`.

        `after`: the `after` of the page before. Reads the run's whole quarantine: a call per 1 MB, about 1,500
        entries.
        """
        counts: Counter[str] = Counter()
        entries: list[QuarantineEntry] = []
        last: str | None = None
        more = False
        for item in self._store.query(_partition(job, run)):
            entry = QuarantineEntry.model_validate_json(text(item, "entry"))
            if entry.state != state:
                continue
            counts[entry.error] += 1
            if (error is not None and entry.error != error) or (
                after is not None and text(item, "sk") <= after
            ):
                continue
            if len(entries) < limit:
                entries.append(entry)
                last = text(item, "sk")
            else:
                more = True
        return FailurePage(counts=dict(counts), entries=entries, after=last if more else None)

    def count(self, job: str, run: str) -> int:
        """How many records the run has given up, those closed since included."""
        return sum(1 for _ in self._store.query(_partition(job, run)))

    def keys(self, job: str, run: str) -> list[Key]:
        """The records that the run has given up, those closed since included."""
        items = self._store.query(_partition(job, run))
        return [QuarantineEntry.model_validate_json(text(item, "entry")).key for item in items]

    def open(self, job: str, run: str, error: str | None = None) -> list[QuarantineEntry]:
        """Every open entry of the run, of one error class if `error`: what a redrive takes up."""
        entries = (
            QuarantineEntry.model_validate_json(text(item, "entry"))
            for item in self._store.query(_partition(job, run))
        )
        return [entry for entry in entries if entry.state == "open" and error in (None, entry.error)]

    def drop_before(self, job: str, run: str, version: int) -> int:
        """Delete the entries of a run below a version: a new scan takes them up. Returns how many."""
        dropped = 0
        for item in self._store.query(_partition(job, run)):
            if QuarantineEntry.model_validate_json(text(item, "entry")).version < version:
                self._store.call("delete_item", Key={"pk": item["pk"], "sk": item["sk"]})
                dropped += 1
        return dropped

    def given_up_again(self, job: str, run: str) -> list[tuple[str, str]]:
        """Which redrives gave up records of the run once more and have them open now: job and run of each."""
        closed = (
            QuarantineEntry.model_validate_json(text(item, "entry"))
            for item in self._store.query(_partition(job, run))
        )
        reasons = {entry.reason or "" for entry in closed if entry.state == "redriven"}
        again = (_GIVEN_UP_AGAIN_BY.fullmatch(reason) for reason in reasons)
        return sorted((by["job"], by["run"]) for by in again if by)

    def left(self, job: str, run: str) -> int:
        """How many records of the run no redrive has settled, those included that were discarded."""
        return len(self._left(job, run, {"open", "discarded"}))

    def still_open(self, job: str, run: str) -> dict[str, str]:
        """Where records of the run are listed that are open: by their key's place, the job that has them.

        It may be a redrive that has given them up again.
        """
        return self._left(job, run, {"open"})

    def _left(self, job: str, run: str, states: Collection[State]) -> dict[str, str]:
        """What a redrive gave up again counts as that redrive has it, and so on."""
        left, again = dict[str, str](), defaultdict[tuple[str, str], set[str]](set)
        for item in self._store.query(_partition(job, run)):
            entry = QuarantineEntry.model_validate_json(text(item, "entry"))
            if entry.state in states:
                left[text(item, "sk")] = job
            elif by := _GIVEN_UP_AGAIN_BY.fullmatch(entry.reason or ""):
                again[by["job"], by["run"]].add(text(item, "sk"))
        for by_whom, places in again.items():
            left |= {place: has for place, has in self._left(*by_whom, states).items() if place in places}
        return left

    def close(
        self,
        job: str,
        run: str,
        key: Key,
        state: Literal["redriven", "discarded"],
        reason: str | None = None,
        order: int | None = None,
    ) -> None:
        """Take a record off the open ones. Nothing happens where there is no such entry, or it is closed.

        `order`: up to which it was settled; what was given up above it meanwhile stays open. None: whatever
        it is.
        """
        pk, sk = _partition(job, run), place_of(key)
        item = self._store.get(pk, sk)
        if item is None:
            return
        entry = QuarantineEntry.model_validate_json(text(item, "entry"))
        if order is not None and (entry.order or 0) > order:
            return
        closed = entry.model_copy(update={"state": state, "reason": reason})
        try:
            self._store.call(
                "put_item",
                Item={**item, "entry": {"S": closed.model_dump_json()}, "open": {"BOOL": False}},
                ConditionExpression="#o = :true AND entry = :entry",  # not one that was given up meanwhile
                ExpressionAttributeNames={"#o": "open"},
                ExpressionAttributeValues={":true": {"BOOL": True}, ":entry": item["entry"]},
            )
        except ConditionFailed:
            return


def _order_of(entry: QuarantineEntry) -> dict[str, str]:
    """Of a change that a follow has given up; 0: of a row, which comes before all changes."""
    return {"N": str(entry.order or 0)}


def _partition(job: str, run: str) -> str:
    return f"failures#{job}#{run}"


def place_of(key: Key) -> str:
    """One place per record, however its key is written; a hash, since a key may be longer than a sort key."""
    identity = [
        (name, kind, _EXACT.plus(value).normalize(_EXACT) if isinstance(value, Decimal) else value)
        for name, kind, value in key_identity(from_json_key(key))
    ]
    return hashlib.sha256(repr(identity).encode()).hexdigest()
