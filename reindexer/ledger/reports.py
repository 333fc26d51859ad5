"""Reports: what a job came to, readable without Temporal and long after it has forgotten the run."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from reindexer.items import WireItem
from reindexer.ledger.runs import Runs
from reindexer.ledger.store import ConditionFailed, Store, sortable, text
from reindexer.models import Report
from reindexer.models.by_partition import pack, unpack
from reindexer.tally import Tally

#: Bytes of JSON kept: an item may have 400 KB (409,600 bytes), names and the other attributes included.
MAX_BYTES = 350_000
_MAX_NOTES = 100  # control events and warnings kept of a report that is too large: the newest, resp. first
_MAX_TEXT = 300  # characters of each; all together then stay below 100 KB even where each takes 4 bytes


class Reports:
    """Reports by job and run."""

    def __init__(self, store: Store, runs: Runs) -> None:
        self._store, self._runs = store, runs

    def put(self, report: Report) -> None:
        """Keep a report; repeated, it replaces itself. Too large for an item, it is trimmed with a notice.

        Its partitions are never trimmed: they have items of their own. One in state "running" replaces an
        older one of that state alone: a late retry must not take the place of the run's final report.
        """
        by_partition = self._put_partitions(report)
        kept = trimmed(report.model_copy(update={"partitions": {}}))
        start = sortable(report.started_at)
        sk = f"report#{start}#{report.run}"
        item: WireItem = {
            "pk": {"S": f"job#{report.job}"},
            "sk": {"S": sk},
            "report": {"S": kept.model_dump_json()},
            # For people who look into the table; the program reads the JSON alone.
            "state": {"S": report.state},
            "table": {"S": report.table},
            "version": {"N": str(report.version)},
            "run": {"S": report.run},
            **by_partition,
        }
        if not self._put_in_order(item, report):
            return
        pointer = {
            "pk": {"S": "reports"},
            "sk": {"S": f"{start}#{report.run}#{report.job}"},
            "job": {"S": report.job},
            "report": {"S": sk},
        }
        self._store.call("put_item", Item=pointer)
        self._runs.note(report.job, report.run, report.started_at + timedelta(seconds=report.seconds))

    def _put_in_order(self, item: WireItem, report: Report) -> bool:
        """False: the run has a later report, or its final one, and that stays."""
        if report.state != "running":
            self._store.call("put_item", Item=item)
            return True
        as_of = {"S": sortable(report.as_of or report.started_at)}
        try:
            self._store.call(
                "put_item",
                Item={**item, "as_of": as_of},
                ConditionExpression="attribute_not_exists(pk) OR (#s = :s AND as_of <= :a)",
                ExpressionAttributeNames={"#s": "state"},  # a reserved word
                ExpressionAttributeValues={":s": {"S": "running"}, ":a": as_of},
            )
        except ConditionFailed:
            return False
        return True

    def find(self, job: str, run: str | None = None) -> Report | None:
        """The report of a run, or the job's newest; None: there is none (yet).

        One in state "running" is what was known at `as_of`: the run has not ended, or not by itself.
        """
        # A page of one is the newest; a run is looked for among 1 MB at a time.
        page = 1 if run is None else None
        for item in self._store.query(f"job#{job}", prefix="report#", newest_first=True, page=page):
            if run is None or text(item, "run") == run:
                return _parsed(item).model_copy(update={"partitions": self._partitions(job, item)})
        return None

    def newest(self, job: str | None = None, limit: int = 20) -> list[Report]:
        """The newest reports, of one job or of all, at most `limit`; without their partitions."""
        found: list[Report] = []
        pk, prefix = (f"job#{job}", "report#") if job is not None else ("reports", "")
        for item in self._store.query(pk, prefix=prefix, newest_first=True, page=max(1, limit)):
            if len(found) >= limit:
                break
            whole = (
                item if job is not None else self._store.get(f"job#{text(item, 'job')}", text(item, "report"))
            )
            if whole is not None:
                found.append(_parsed(whole))
        return found

    def _put_partitions(self, report: Report) -> WireItem:
        """Their tallies, compressed, in as many items as they need; returns what names them in the report's.

        Named by their content: what an earlier try has put is never mixed with what this one puts.
        """
        if not report.partitions:
            return {}
        packed = pack(report.partitions)
        digest = hashlib.sha256(packed).hexdigest()[:16]  # 64 bits: a job has a handful of them
        for number, start in enumerate(range(0, len(packed), MAX_BYTES)):
            place = {"pk": {"S": f"job#{report.job}"}, "sk": {"S": f"partitions#{digest}#{number:03}"}}
            part = packed[start : start + MAX_BYTES]
            self._store.call("put_item", Item={**place, "run": {"S": report.run}, "packed": {"B": part}})
        return {"partitions": {"S": digest}}

    def _partitions(self, job: str, item: WireItem) -> dict[str, Tally]:
        """What belongs to a report's item; a report of an earlier version has none."""
        if "partitions" not in item:
            return {}
        parts = self._store.query(f"job#{job}", prefix=f"partitions#{text(item, 'partitions')}#")
        return unpack(b"".join(part["packed"]["B"] for part in parts))


def _parsed(item: WireItem) -> Report:
    return Report.model_validate_json(text(item, "report"))


def trimmed(report: Report) -> Report:
    """The report, small enough for an item: notes are cut, then the job's parameters, counts never."""
    if _bytes(report) <= MAX_BYTES:
        return report
    dropped = max(0, len(report.warnings) - _MAX_NOTES), max(0, len(report.controls) - _MAX_NOTES)
    notice = f"shortened to fit the ledger: {dropped[0]} warnings and {dropped[1]} control events left out"
    changes: dict[str, Any] = {
        "warnings": [notice, *(_cut(warning) for warning in report.warnings[:_MAX_NOTES])],
        "controls": [
            event.model_copy(
                update={"what": _cut(event.what), "reason": event.reason and _cut(event.reason), "limits": None}
            )
            for event in report.controls[-_MAX_NOTES:]
        ],
    }
    shorter = report.model_copy(update=changes)
    if _bytes(shorter) > MAX_BYTES:
        changes["operation"] = {"kind": report.operation.get("kind"), "shortened": "too large for the ledger"}
        changes["warnings"] = [f"{notice}, and the operation's parameters", *changes["warnings"][1:]]
        shorter = report.model_copy(update=changes)
    return shorter


def _cut(line: str) -> str:
    return line if len(line) <= _MAX_TEXT else line[: _MAX_TEXT - 1] + "…"


def _bytes(report: Report) -> int:
    return len(report.model_dump_json().encode())
