"""One isolated record: a round of one key, with patience for one attempt."""

from __future__ import annotations

from reindexer.models import KeyList, RecordInput, RecordResult, RoundInput, RoundResult, Stop, Unconfirmed
from reindexer.rounds.pending_write import Patience

#: Temporal's policy is what retries an isolated record, so the loop hands it back after one failure.
ONE_ATTEMPT = Patience(
    split_after=1, isolate_after=1, races=3, stalled_seconds=5.0, alone=True
)  # 5 s as in a round


def round_of(request: RecordInput) -> RoundInput:
    """The round of this one record."""
    record = request.record
    partitions = [] if record.partition is None else [record.partition]
    sent = Unconfirmed(
        key=record.key, deletion=record.deleting, creation=record.creating, partition=record.partition
    )
    return RoundInput(
        target=request.target,
        source=KeyList(
            keys=[record.key],
            partitions=partitions,
            marked=[record.key] if record.marked else [],
            orders=[] if record.order is None else [record.order],
            older=record.older,
        ),
        unconfirmed=[sent] if record.unknown else [],
        share=request.share,
        seconds=30.0,  # an attempt is one call and its classification; the bound is for a stalled service
        heartbeat_timeout=request.heartbeat_timeout,
    )


def record_result(request: RecordInput, result: RoundResult) -> RecordResult:
    """What its round says of the record."""
    record, progress = request.record, result.progress
    outcome = next(iter(progress.tally.outcomes), None)
    if progress.isolated:
        failed = progress.isolated[0]
        record = failed.model_copy(update={"attempts": record.attempts + max(1, failed.attempts)})
    elif progress.unconfirmed:
        [sent] = progress.unconfirmed
        record = record.model_copy(
            update={"unknown": True, "deleting": sent.deletion, "creating": sent.creation}
        )
    waiting = result.stop in (Stop.THROTTLED, Stop.UNAVAILABLE)
    return RecordResult(
        outcome=outcome,
        attempts=progress.attempts,
        record=record,
        retry=bool(progress.isolated) and not record.given_up,
        waiting=waiting,
        fault=result.fault,
        write_units=progress.write_units,
    )
