"""A dry run: what a verb would do to a sample, with nothing written anywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from reindexer.answers import Action, CallFailed
from reindexer.checks.index_trial import IndexTrial, Written, temporary_index
from reindexer.checks.trials import Trial, Would, trial_of
from reindexer.checks.tried_documents import TriedDocuments
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import KEYS_PER_CALL, TableClient
from reindexer.errors import RecordFailed, cut, named_failure
from reindexer.items import (
    Key,
    Skip,
    WireItem,
    WireValue,
    Write,
    from_json_key,
    key_identity,
    to_json_key,
    written,
)
from reindexer.jobs.conditions import as_filter
from reindexer.models import Change, DryRun, DryRunInput, KeyList, Pair, PartitionRanges, Share
from reindexer.operations.within_index import belongs
from reindexer.round_context import RoundContext
from reindexer.search.client import SearchClient
from reindexer.sources import make_source
from reindexer.tally import Outcome, Tally
from reindexer.throttle import Budget, backoff
from reindexer.values import plain

_ROWS_PER_PAGE = 100  # a page's rows are decided together; the first answers are there after one page
_MAX_TEXT_BYTES = 300  # of one value: no one compares more by eye
_MAX_CHANGES = 50  # attributes of one pair; an item may have thousands
#: Bytes of JSON of all pairs: a quarter of what a workflow's result may hold.
MAX_PAIRS_BYTES = 512 * 1024
_MAX_CLASSES = 100  # error classes kept apart: a job may make up one for each record
_OTHER_CLASSES = "Others"


def dry_run(
    request: DryRunInput, table: TableClient, context: RoundContext, client: SearchClient | None = None
) -> DryRun:
    """What would become of up to `limit` records that the query finds (in the named partitions, if any), or of
    the named keys.

    The first that a scan hands out, not a random choice. Ends early, with what it has, when its time is over or
    it is asked to stop. Work with side effects is not done: its records are `updated`. `client`: of the cluster
    that documents are for; they are written to a temporary index. Raises `CallFailed`, `EnvironmentFault`,
    `Refused`.
    """
    if client is None:
        return _tried(request, trial_of(request.target, context), table, context).result({})
    with temporary_index(request, client) as index:
        trial = IndexTrial(request.target, index, client, context)
        return _tried(request, trial, table, context).result(trial.types())


def _tried(request: DryRunInput, trial: Trial, table: TableClient, context: RoundContext) -> _Seen:
    seen = _Seen([attribute.name for attribute in request.target.key], request.pairs)
    until = context.now() + request.seconds
    for rows in _pages(request, trial, table, context, until):
        for row, would in trial.judge(rows):
            seen.take(row, would)
    return seen


def _pages(
    request: DryRunInput, trial: Trial, table: TableClient, context: RoundContext, until: float
) -> Iterator[list[WireItem]]:
    """The sample, page by page; a busy service is waited for."""
    if isinstance(request.source, KeyList):
        keys = [from_json_key(key) for key in request.source.keys[: request.limit]]
        for start in range(0, len(keys), KEYS_PER_CALL):
            found, _ = read_consistently(table, keys[start : start + KEYS_PER_CALL], None, context)
            yield [found[key_identity(key)] for key in keys if key_identity(key) in found]
        return
    if isinstance(request.source, PartitionRanges):
        yield from _partitions(request, trial, table, context, until)
        return
    parameters: dict[str, Any] = {}
    if trial.condition is not None:
        parameters = as_filter(trial.condition)
    else:
        parameters = {"Limit": min(request.limit, _ROWS_PER_PAGE)}
    left, cursor, tries = request.limit, None, 0
    while left > 0 and context.now() < until and not context.stopping():
        context.heartbeat()
        try:
            page = table.read("scan", parameters, cursor)
        except CallFailed as failed:
            if failed.failure.action not in (Action.WAIT, Action.RETRY):
                raise
            tries += 1
            context.wait(backoff(tries))
            continue
        rows, tries, cursor = page.rows[:left], 0, page.last_key
        left -= len(rows)
        yield rows
        if cursor is None:
            return


def _partitions(
    request: DryRunInput, trial: Trial, table: TableClient, context: RoundContext, until: float
) -> Iterator[list[WireItem]]:
    """What the query finds in the named partitions, read as a round reads them."""
    target, left, cursor, tries = request.target, request.limit, None, 0
    within, row_filter = target.within, {}
    if trial.condition is not None:
        row_filter = as_filter(trial.condition)
    source = make_source(request.source, target, table, None, row_filter, context)
    while True:
        try:
            for page in source.pages(cursor, 0, Budget(Share(), context)):
                context.heartbeat()
                rows = [row for place, row in enumerate(page.rows) if place not in page.gone]
                if within is not None and within.index is not None:
                    rows = [row for row in rows if belongs(within, page.partition or "", row)]
                rows = [row for row in rows if trial.matches(row)][:left]
                left, cursor, tries = left - len(rows), page.next_cursor, 0
                yield rows
                if left <= 0 or context.now() >= until or context.stopping():
                    return
            return
        except CallFailed as failed:
            if failed.failure.action not in (Action.WAIT, Action.RETRY):
                raise
            tries += 1
            context.wait(backoff(tries))
            if context.now() >= until or context.stopping():
                return


class _Seen:
    """What the sample showed so far."""

    def __init__(self, key_names: list[str], pairs: int) -> None:
        self._key_names, self._most, self._room = key_names, pairs, MAX_PAIRS_BYTES
        self._outcomes: Counter[Outcome] = Counter()
        self._pairs: list[Pair] = []
        self._documents = TriedDocuments(pairs, MAX_PAIRS_BYTES)
        self._failures: Counter[str] = Counter()
        self._messages: dict[str, str] = {}

    def take(self, row: WireItem, would: Would) -> None:
        if isinstance(would, Outcome):
            self._outcomes[would] += 1
        elif isinstance(would, RecordFailed):
            self._failed(would)
        elif isinstance(would, Written):
            self._written(row, would)
        else:
            self._decided(row, would)

    def _written(self, row: WireItem, written: Written) -> None:
        if written.refused is None:
            self._outcomes[Outcome.UPDATED] += 1
        else:
            self._failed(written.refused)
        self._documents.add(self._key(row), written)

    def _key(self, row: WireItem) -> Key:
        return to_json_key({name: row[name] for name in self._key_names})

    def _failed(self, failure: RecordFailed) -> None:
        self._outcomes[Outcome.QUARANTINED] += 1
        code, message = named_failure(failure)
        if code not in self._failures and len(self._failures) >= _MAX_CLASSES:
            code = _OTHER_CLASSES
        self._failures[code] += 1
        self._messages.setdefault(code, message)

    def _decided(self, row: WireItem, decision: Write | Skip) -> None:
        if isinstance(decision, Skip):
            self._outcomes[Outcome.FILTERED] += 1
            return
        self._outcomes[Outcome.DELETED if decision.mark else Outcome.UPDATED] += 1
        if len(self._pairs) < self._most:
            after: WireItem = {} if decision.mark else written(row, decision)
            pair = Pair(key=self._key(row), changes=self._changes(row, after), delete=decision.mark)
            self._room -= len(pair.model_dump_json().encode())
            self._pairs += [pair] if self._room >= 0 else []

    def _changes(self, before: WireItem, after: WireItem) -> list[Change]:
        names = [
            name
            for name in dict.fromkeys([*before, *after])
            if name not in self._key_names and before.get(name) != after.get(name)
        ]
        changes = [
            Change(name=cut(name), before=_text(before.get(name)), after=_text(after.get(name)))
            for name in names[:_MAX_CHANGES]
        ]
        more = len(names) - len(changes)
        return [
            *changes,
            *([Change(name=f"and {more:,} attributes more", before=None, after=None)] * (more > 0)),
        ]

    def result(self, types: Mapping[str, str]) -> DryRun:
        """`types`: of the fields of the temporary index."""
        counts = {outcome.value: count for outcome, count in self._outcomes.items()}
        return DryRun(
            tally=Tally(scanned=sum(counts.values()), **counts),
            pairs=self._pairs,
            failures=dict(self._failures),
            messages=self._messages,
            documents=self._documents.shown(types),
        )


def _text(value: WireValue | None) -> str | None:
    """A value for people: JSON, numbers as written, shortened."""
    if value is None:
        return None
    text = json.dumps(plain(value), default=_jsonable, ensure_ascii=False)
    return cut(text, _MAX_TEXT_BYTES)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 10**15 else str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return dict(value) if hasattr(value, "items") else sorted(value, key=str)
