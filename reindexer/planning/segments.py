"""Whether the service divides a parallel scan: each record in one segment, and none in no segment.

One that passes `Segment` over hands out the whole table to each shard: records would be counted several times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.dynamo.wire import projection
from reindexer.errors import Refused
from reindexer.items import key_identity
from reindexer.models import Segment, Source
from reindexer.planning.asking import ask, verdict
from reindexer.planning.facts import Described

_PAGE_BYTES = 1 << 20  # where DynamoDB ends a page: a smaller table is read whole, for at most 256 read units
_PLACES = 2  # segments of a larger table that are compared: who passes `Segment` over begins all alike
_LOOKS = 3  # in which a record has to be left out: none that others write is absent each time
_ROWS_EACH = 100  # of a larger table: a read unit or two for records of usual size

_Keys = set[tuple[Any, ...]]


def check_segments(described: Described, sources: Sequence[Source]) -> None:
    """Compare the segments' first pages. Raises `Refused` where records are in two, or in none.

    A table that is too busy for it goes unchecked: the verification counts independently.
    """
    segments = [source for source in sources if isinstance(source, Segment) and source.total > 1]
    if not segments:
        return
    try:
        before, lost = _left_out(described, segments)
        for _ in range(_LOOKS - 1):
            if lost:  # a record that was deleted and put again in between looks the same, once
                lost &= _left_out(described, segments)[1]
    except CallFailed as failed:
        if failed.failure.action is not Action.WAIT:
            raise verdict(failed, "dynamodb:Scan", described.table.table) from failed
        return
    if lost:
        raise _refused(described, f"leave out {len(lost):,} of its {before:,} records")


def _left_out(described: Described, segments: Sequence[Segment]) -> tuple[int, _Keys]:
    """(records of a small table, those of them that no segment has). Raises `Refused` where two have one."""
    before, small = _page(described) if described.facts.size_bytes < _PAGE_BYTES else (_Keys(), False)
    limit = {} if small else {"Limit": _ROWS_EACH}
    seen, complete = _Keys(), small
    for segment in segments if small else segments[:_PLACES]:
        place = {"Segment": segment.segment, "TotalSegments": segment.total}
        found, whole = _page(described, **place, **limit)
        if seen & found:
            raise _refused(described, "hand out the same records, so that these would be counted several times")
        seen |= found
        complete = complete and whole
    # What was there before and after was most likely there all the time.
    lost = (before & _page(described)[0]) - seen if complete else _Keys()
    return len(before), lost


def _page(described: Described, **bounds: int) -> tuple[_Keys, bool]:
    """(keys of one page, whether nothing follows)."""
    shape = projection(attribute.name for attribute in described.key)
    asked: dict[str, Any] = {"TableName": described.table.table, "ConsistentRead": True, **shape, **bounds}
    answer = ask(described.table, "scan", **asked)
    return {key_identity(key) for key in answer.get("Items") or []}, not answer.get("LastEvaluatedKey")


def _refused(described: Described, what: str) -> Refused:
    return Refused(
        f"the service behind {described.table.table} does not divide a parallel scan: segments {what}; "
        "use total_segments 1, or an endpoint that honours Segment",
        "NoParallelScan",
    )
