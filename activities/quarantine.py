"""quarantine_record: give a record up, but not before one consistent read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from activities.second_table import place_of
from reindexer.checks.last_look_elsewhere import InCopy, InOrder, Landed
from reindexer.dynamo.index_keys import INDEX_KEY, IndexKeys
from reindexer.dynamo.reading import read_consistently
from reindexer.errors import EnvironmentFault, Refused, cut
from reindexer.items import WireItem, from_json_key, key_identity
from reindexer.ledger.failures import GIVEN_UP_AGAIN
from reindexer.models import (
    CloseInput,
    Fault,
    GivenUpInput,
    Isolated,
    QuarantineEntry,
    QuarantineInput,
    RecordResult,
    Target,
)
from reindexer.operations import verb_of
from reindexer.sinks.evidence import shows_change
from reindexer.sinks.pair import Pair
from reindexer.sinks.unconfirmed_writes import sent
from reindexer.table_rounds import ordered_sink
from reindexer.tally import Attempts, Outcome


class QuarantineActivities:
    """The last thing that happens to a record that could not be changed."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn
    def quarantine_record(self, request: QuarantineInput) -> RecordResult:
        """The item is as this run would leave it: it was updated after all. Else the ledger lists it.

        With `applied`. Idempotent: a second attempt writes the same ledger row. A ledger that cannot be written
        is a fault.
        """
        if not verb_of(request.target.operation).in_place:
            record, written = request.record, self._elsewhere(request)
        else:
            item = self._read(request)
            record = _explained(request.record, item, request.target)
            written = _written(record, item, request.target)
        if written:
            ambiguous = Attempts(ambiguous=1) if record.unknown else Attempts()
            return RecordResult(outcome=written.value, attempts=ambiguous, record=record)
        entry = QuarantineEntry(
            job=request.job,
            run=request.run,
            table_arn=request.target.table_arn,
            version=request.target.version,
            stamp=request.target.stamp,
            attributes=request.target.attributes,
            code=request.target.code,
            key=record.key,
            error=record.error or "Unknown",
            message=record.message,
            attempts=record.attempts,
            applied="unknown" if record.unknown else "no",
            at=datetime.now(UTC),
            deleting=record.deleting,
            marked=record.marked,
            order=record.order,
        )
        try:
            self._clients.ledger.failures.add(entry)
        except EnvironmentFault as error:
            fault = Fault.of(error)
            return RecordResult(outcome=None, record=record, fault=fault)
        except Refused as error:  # the ledger is gone
            fault = Fault(code=error.kind, message=str(error))
            return RecordResult(outcome=None, record=record, fault=fault)
        return RecordResult(outcome=Outcome.QUARANTINED.value, record=record)

    @activity.defn
    def close_redriven(self, request: CloseInput) -> int:
        """Close the failures of an earlier run that a redrive has taken up; returns how many it settled.

        One that the redrive gave up again is open as a failure of the redrive, and there alone. Idempotent: a
        closed one stays so.
        """
        settled = 0
        by = f"run {request.by_run} of job {request.by_job}"
        with translated():
            again = self._given_up(request.by_job, request.by_run)
            orders: Sequence[int | None] = request.orders or [None] * len(request.keys)
            for key, order in zip(request.keys, orders, strict=True):
                given_up = key_identity(from_json_key(key)) in again
                reason = f"{GIVEN_UP_AGAIN}{by}" if given_up else f"by {by}"
                self._clients.ledger.failures.close(request.job, request.run, key, "redriven", reason, order)
                settled += not given_up
        return settled

    @activity.defn
    def count_left(self, request: GivenUpInput) -> int:
        """How many records of a follow are given up, and not settled by a redrive since."""
        with translated():
            return self._clients.ledger.failures.left(request.job, request.run)

    def _given_up(self, job: str, run: str) -> set[tuple[object, ...]]:
        entries = self._clients.ledger.failures.open(job, run)
        return {key_identity(from_json_key(entry.key)) for entry in entries}

    def _elsewhere(self, request: QuarantineInput) -> Outcome | None:
        """What a write elsewhere that was never answered has done after all; None: nothing, so far."""
        record, target = request.record, request.target
        if not record.unknown:
            return None
        with translated():
            landed: Landed
            if verb_of(target.operation).ordered:
                sink = ordered_sink(place_of(self._clients, target), target)
                gone = Outcome.REMOVED if record.older else Outcome.VANISHED
                landed = InOrder(sink, target, record.order, gone)
            else:
                assert target.other is not None, "written where?"
                landed = InCopy(Pair(target, (self._clients.table(target), self._clients.table(target.other))))
            outcome = sent(deletion=record.deleting, creation=record.creating)
            [found] = landed.of([from_json_key(record.key)], [outcome])
        return found

    def _read(self, request: QuarantineInput) -> WireItem | None:
        """The item as it is, as far as it tells what became of it; None: it is gone."""
        target, key = request.target, from_json_key(request.record.key)
        keys = target.index_keys if request.record.error == INDEX_KEY else ()
        reads = (target.attributes.version, target.attributes.run, *keys)
        with translated():
            found, _ = read_consistently(self._clients.table(target), [key], reads)
        return found.get(key_identity(key))


def _written(record: Isolated, item: WireItem | None, target: Target) -> Outcome | None:
    """What a write that was never answered has done after all; None: nothing, so far."""
    if item is None:
        return Outcome.DELETED if record.deleting else None
    return Outcome.UPDATED if shows_change(target, item) else None


def _explained(record: Isolated, item: WireItem | None, target: Target) -> Isolated:
    """With the attribute and the index, where DynamoDB's own words name neither."""
    keys = IndexKeys(target.index_keys, target.indexes)
    if record.error != INDEX_KEY or item is None or keys.named_in(record.message):
        return record
    whys = [why for _, why in keys.refused(item)]
    return record.model_copy(update={"message": cut(f"{whys[0]} ({record.message})")}) if whys else record
