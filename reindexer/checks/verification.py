"""Verification: an independent consistent read of what the job was about.

It shares no code with the rounds: were their reading or their judging wrong, it would be wrong in the same way.
Here DynamoDB itself judges each row, by a filter; only rows behind the target come back.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from reindexer.checks.behind import RowRule
from reindexer.checks.counted import Counted, KeepKeys
from reindexer.checks.judge import JobJudge, Judge
from reindexer.checks.partitions import PartitionReading
from reindexer.dynamo.calls import Calls
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.errors import EnvironmentFault, Interrupted, one_line
from reindexer.items import Cursor, Key, from_json_key, key_identity
from reindexer.models import Fault, KeyList, PartitionRanges, Segment, VerifyInput, VerifyResult
from reindexer.operations import verb_of
from reindexer.round_context import RoundContext

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)


def verify_segment(
    request: VerifyInput, client: DynamoDBClient, context: RoundContext, keep: KeepKeys | None = None
) -> VerifyResult:
    """Count rows, and rows behind the target, in the source; hand keys of the latter to `keep`, page by page.

    Stops at the end of the time slice or when asked to, with `cursor` where to go on and `done` False; all
    numbers are those of this call alone. Waits out throttles; where there is nothing else for 5 s it hands back
    as `throttled`. A broken environment is returned as `fault`, with what was counted before; so is a service
    that failed all through the slice, and what should not have been raised. What `keep` has taken may be handed
    to it again, never less than what is counted.
    """
    calls = Calls(TableClient(client, request.target.table), context, request.share.read_units, request.seconds)
    counted = Counted(request, calls, keep)
    context.heartbeat(counted.progress)
    try:
        _read(request, calls, _judge(request, context, counted=keep is None), counted)
    except Interrupted:  # in a job's function: the page counts for nothing, and is read again
        pass
    except EnvironmentFault as error:  # the job is not there, has changed or hangs, or the ledger is broken
        calls.fail(Fault.of(error))
    except Exception as error:  # a defect: what was counted before is not lost for it
        log.exception("verification of %s failed", request.target.table)
        calls.fail(Fault(code=type(error).__name__, message=one_line(error)))
    return counted.result()


def _judge(request: VerifyInput, context: RoundContext, *, counted: bool) -> Judge:
    target, query = request.target, isinstance(request.source, PartitionRanges)
    rule = RowRule(target, counted=counted, query=query)
    if not verb_of(target.operation).runs_job:
        return rule
    return JobJudge(target, rule, context, query=query)


def _read(request: VerifyInput, calls: Calls, judge: Judge, counted: Counted) -> None:
    source = request.source
    if isinstance(source, PartitionRanges):
        PartitionReading(request, calls, judge, counted).read()
    elif isinstance(source, Segment):
        _read_segment(source, request.cursor, calls, judge, counted)
    else:
        assert isinstance(source, KeyList), "a kept list is fetched before it is read"
        _read_named(source.keys, request.cursor, calls, judge, counted)


def _read_segment(segment: Segment, after: Cursor | None, calls: Calls, judge: Judge, counted: Counted) -> None:
    """Page after page of a parallel scan."""
    asked: dict[str, Any] = {"ConsistentRead": True}  # sees every write that was acknowledged before
    if segment.total > 1:  # else a plain scan: the same rows, and an engine may go by its own index
        asked |= {"Segment": segment.segment, "TotalSegments": segment.total}
    asked = judge.narrowed(asked)
    cursor = from_json_key(after) if after else None
    while calls.may_go_on():
        page = calls.page("scan", asked, cursor)
        if page is None:
            continue
        cursor = page.get("LastEvaluatedKey") or None
        counted.add(page["ScannedCount"], *judge.of_page(page), cursor)
        if cursor is None:
            return


def _read_named(keys: list[Key], after: Cursor | None, calls: Calls, judge: Judge, counted: Counted) -> None:
    """Named keys. One that does not exist is neither scanned nor behind. The cursor: the last one read."""
    wanted = list({key_identity(key): key for key in map(from_json_key, keys)}.values())
    done = 0
    if after:
        done = [key_identity(key) for key in wanted].index(key_identity(from_json_key(after))) + 1
    while done < len(wanted):
        chunk = wanted[done : done + KEYS_PER_CALL]
        items = calls.get_all(chunk, judge.reads)
        if items is None:
            return
        behind = judge.among(items)
        done += len(chunk)
        counted.add(len(items), len(behind), behind, chunk[-1] if done < len(wanted) else None)
    if not wanted:
        counted.add(0, 0, [], None)
