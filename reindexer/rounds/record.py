"""One isolated record: a round of one key, with patience for one attempt."""

from __future__ import annotations

from reindexer.dynamo.table import TableClient
from reindexer.errors import EnvironmentFault
from reindexer.models import Fault, KeyList, RecordInput, RecordResult, RoundInput, Stop
from reindexer.round_context import RoundContext
from reindexer.rounds.delivery import Patience
from reindexer.rounds.round import Round

#: Temporal's policy is what retries an isolated record, so the loop hands it back after one failure.
_ONE_ATTEMPT = Patience(
    split_after=1, isolate_after=1, races=3, stalled_seconds=5.0, alone=True
)  # 5 s as in a round


def attempt_record(request: RecordInput, table: TableClient, context: RoundContext) -> RecordResult:
    """Read the record consistently, decide, write once, settle.

    `outcome` None: not settled. Then `retry` tells whether the record itself failed (try again by policy);
    otherwise it was asked to stop, the service was not there, or `fault` holds what is broken around it.
    """
    record = request.record
    partitions = [] if record.partition is None else [record.partition]
    work = RoundInput(
        target=request.target,
        source=KeyList(keys=[record.key], partitions=partitions, marked=[record.key] if record.marked else []),
        unknown=[record.key] if record.unknown else [],
        deleting=[record.key] if record.deleting else [],
        share=request.share,
        seconds=30.0,  # an attempt is one call and its classification; the bound is for a stalled service
        heartbeat_timeout=request.heartbeat_timeout,
    )
    try:
        result = Round(work, table, context, _ONE_ATTEMPT).run()
    except EnvironmentFault as error:  # the job's code is not there, or has changed
        fault = Fault.of(error)
        return RecordResult(outcome=None, record=record, fault=fault)
    progress = result.progress
    outcome = next(iter(progress.tally.outcomes), None)
    if progress.isolated:
        failed = progress.isolated[0]
        record = failed.model_copy(update={"attempts": record.attempts + max(1, failed.attempts)})
    elif progress.unknown:
        record = record.model_copy(update={"unknown": True, "deleting": bool(progress.deleting)})
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
