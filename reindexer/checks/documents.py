"""Whether an index has the documents that its records make, each of them: a consistent read of its own.

A record is rendered again and compared with its document as the index has it in real time. What differs is
behind, whatever the reason: records that were changed since their documents were made, too.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from reindexer.checks.counted import Counted, KeepKeys
from reindexer.checks.index_sample import same_json
from reindexer.compare.made_documents import Made
from reindexer.dynamo.calls import Calls
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.errors import EnvironmentFault, Interrupted, Refused, one_line
from reindexer.items import WireItem, WireKey, from_json_key, key_identity
from reindexer.models import Fault, KeyList, Segment, VerifyInput, VerifyResult
from reindexer.round_context import RoundContext
from reindexer.search.asking import repeated
from reindexer.search.client import SearchClient

log = logging.getLogger(__name__)

_DOCUMENTS_PER_CALL = 500  # as a request that writes has: tenths of a second of the cluster's time


def verify_documents(
    request: VerifyInput,
    table: TableClient,
    client: SearchClient,
    context: RoundContext,
    keep: KeepKeys | None = None,
) -> VerifyResult:
    """As `verify_segment`. `scanned`: records that have, or should have, a document.

    A record whose document cannot be made is not counted: it was given up, and is listed as such.
    """
    calls = Calls(table, context, request.share.read_units, request.seconds)
    counted = Counted(request, calls, keep)
    context.heartbeat(counted.progress)
    try:
        judge = _Judge(request, client, context)
        if isinstance(request.source, Segment):
            _read_segment(request, request.source, calls, judge, counted)
        else:
            assert isinstance(request.source, KeyList), "a kept list is fetched before it is read"
            _read_named(request, request.source, calls, judge, counted)
    except Interrupted:  # in a job's function: the page counts for nothing, and is read again
        pass
    except (EnvironmentFault, Refused) as error:
        calls.fail(Fault(code=getattr(error, "code", "Refused"), message=one_line(error)))
    except Exception as error:  # a defect: what was counted before is not lost for it
        log.exception("the documents of %s could not be verified", request.target.table)
        calls.fail(Fault(code=type(error).__name__, message=one_line(error)))
    return counted.result()


def _read_segment(
    request: VerifyInput, segment: Segment, calls: Calls, judge: _Judge, counted: Counted
) -> None:
    asked: dict[str, Any] = {"ConsistentRead": True}
    if segment.total > 1:
        asked |= {"Segment": segment.segment, "TotalSegments": segment.total}
    cursor = from_json_key(request.cursor) if request.cursor else None
    while calls.may_go_on():
        page = calls.page("scan", asked, cursor)
        if page is None:
            continue
        cursor = page.get("LastEvaluatedKey") or None
        rows = [(row, row) for row in page["Items"]]
        counted.add(*judge.of(rows), cursor)
        if cursor is None:
            return


def _read_named(request: VerifyInput, source: KeyList, calls: Calls, judge: _Judge, counted: Counted) -> None:
    """Named keys: one that does not exist is to have no document. The cursor: the last one read."""
    wanted = list({key_identity(key): key for key in map(from_json_key, source.keys)}.values())
    names, done = [attribute.name for attribute in request.target.key], 0
    if request.cursor:
        done = [key_identity(key) for key in wanted].index(key_identity(from_json_key(request.cursor))) + 1
    while done < len(wanted):
        chunk = wanted[done : done + KEYS_PER_CALL]
        items = calls.get_all(chunk)
        if items is None:
            return
        found = {key_identity({name: item[name] for name in names}): item for item in items}
        done += len(chunk)
        rows = [(key, found.get(key_identity(key))) for key in chunk]
        counted.add(*judge.of(rows), chunk[-1] if done < len(wanted) else None)
    if not wanted:
        counted.add(0, 0, [], None)


class _Judge:
    def __init__(self, request: VerifyInput, client: SearchClient, context: RoundContext) -> None:
        self._made, self._client, self._context = Made(request.target, client, context), client, context

    def of(self, rows: Sequence[tuple[WireKey, WireItem | None]]) -> tuple[int, int, list[WireItem]]:
        """(those that have or should have a document, those whose document is another, their keys).

        Raises `EnvironmentFault`, `Refused`, `Interrupted`.
        """
        scanned, behind = 0, list[WireItem]()
        for start in range(0, len(rows), _DOCUMENTS_PER_CALL):
            part = [entry for entry in map(self._wanted, rows[start : start + _DOCUMENTS_PER_CALL]) if entry]
            for (key, wanted), found in zip(part, self._stored([key for key, _ in part]), strict=True):
                scanned += wanted is not None or found is not None
                if not same_json(wanted, found):
                    behind.append(key)
        return scanned, len(behind), behind

    def _wanted(self, row: tuple[WireKey, WireItem | None]) -> tuple[WireKey, Any] | None:
        """(key, what its document is to be); None: its function fails on it."""
        key, item = row
        if item is None:
            return key, None
        try:
            return key, self._made.of(item)
        except (EnvironmentFault, Interrupted):
            raise
        except Exception:  # of the job's function: given up, and listed as such
            return None

    def _stored(self, keys: Sequence[WireKey]) -> list[Any]:
        if not keys:
            return []
        self._context.heartbeat()
        return repeated(self._client, lambda: self._made.stored(keys))
