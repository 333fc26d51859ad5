"""What an index makes of documents, for a dry run: they are written to a temporary one, which is removed."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from reindexer.answers import Action, CallFailed
from reindexer.errors import Interrupted, RecordFailed
from reindexer.items import Put, Skip, WireItem
from reindexer.models import (
    DryRunInput,
    IndexInput,
    KeyAttribute,
    SearchIndex,
    Target,
    dry_run_index,
)
from reindexer.operations.index import IndexOperation
from reindexer.round_context import RoundContext
from reindexer.search import admin
from reindexer.search.asking import repeated, verdict
from reindexer.search.client import SearchClient
from reindexer.search.document_ids import id_of
from reindexer.sinks.search_index import SearchSink
from reindexer.streams.order import floor_of
from reindexer.tally import Outcome
from reindexer.throttle import backoff

#: Requests in a row that settle nothing before a dry run gives up: some 10 s, half of its time.
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Written:
    """A document, and why the index refused it; None: it is there."""

    id: str
    body: bytes
    refused: RecordFailed | None = None


@contextmanager
def temporary_index(request: DryRunInput, client: SearchClient) -> Iterator[SearchIndex]:
    """An empty index as the job would create it, for the block. Raises `Refused`, `EnvironmentFault`.

    One that an earlier attempt has left is removed first. A removal that fails at the end is left to the job.
    """
    target = request.target
    assert target.search is not None, "which index?"
    index = dry_run_index(target.search, target.stamp)
    creating = IndexInput(
        index=index,
        table_arn=target.table_arn,
        run=target.stamp,
        job=request.job,
        epoch=target.version,
        creation=request.creation,
    )
    try:
        repeated(client, lambda: admin.remove(client, index.index))
        repeated(client, lambda: admin.create(client, creating))
        yield index
    finally:
        with contextlib.suppress(CallFailed):
            admin.remove(client, index.index)


class IndexTrial:
    """A `Trial`: each record's document is made and written to `index`."""

    def __init__(self, target: Target, index: SearchIndex, client: SearchClient, context: RoundContext) -> None:
        self._operation = IndexOperation(target, context)
        self.condition = self._operation.condition
        self._sink = SearchSink(client, target.model_copy(update={"search": index}))
        self._key: Sequence[KeyAttribute] = target.key
        self._index, self._client, self._context = index, client, context
        self._order = floor_of(target.version)

    def matches(self, row: WireItem) -> bool:  # noqa: ARG002
        """Every record: the scan leaves out what the job's query does."""
        return True

    def judge(self, rows: Sequence[WireItem]) -> Iterator[tuple[WireItem, RecordFailed | Skip | Written]]:
        """Each of the rows; fewer where it is asked to stop. Raises `EnvironmentFault`, `Refused`."""
        works: deque[tuple[WireItem, bytes]] = deque()
        for row in rows:
            try:
                made = self._operation.decide(row)
            except RecordFailed as error:
                yield row, error
            except Interrupted:
                break
            else:
                if isinstance(made, Skip):
                    yield row, made
                else:
                    works.append((row, made))
        yield from self._written(works)

    def types(self) -> dict[str, str]:
        """The type of each field, those that were met first in this sample included. Raises as `judge`."""
        return repeated(self._client, lambda: admin.types_of(self._client, self._index.index))

    def _written(self, works: deque[tuple[WireItem, bytes]]) -> Iterator[tuple[WireItem, Written]]:
        tries = 0
        while works and not self._context.stopping():
            self._context.heartbeat()
            batch = self._batch(works)
            try:
                answers = self._sink.attempt(
                    [(row, Put(self._order, body, Outcome.UPDATED)) for row, body in batch]
                )
            except CallFailed as failed:
                tries += 1
                if failed.failure.action in (Action.PARK, Action.GIVE_UP) or tries >= _TRIES:
                    raise verdict(failed, self._client.url) from failed
                self._context.wait(backoff(tries))
                continue
            answered = list(zip(batch, answers.failures, strict=False))  # what was not tried stays
            for _ in answered:
                works.popleft()
            waiting = len(works)
            for (row, body), failure in answered:
                # A refusal by order: it landed when no answer came.
                if failure is None or failure.action is Action.SETTLE:
                    yield row, Written(self._id(row), body)
                elif failure.action is Action.GIVE_UP:
                    yield row, Written(self._id(row), body, RecordFailed(failure.code, failure.message))
                elif failure.action is Action.PARK or tries >= _TRIES:
                    raise verdict(CallFailed(failure), self._client.url)
                else:
                    works.append((row, body))
            again = len(works) - waiting
            tries = 0 if again < len(answered) else tries + 1
            if again:
                self._context.wait(backoff(tries + 1))

    def _batch(self, works: deque[tuple[WireItem, bytes]]) -> list[tuple[WireItem, bytes]]:
        batch: list[tuple[WireItem, bytes]] = []
        size = 0
        for row, body in works:
            size += len(body)
            if batch and (size > self._sink.max_bytes or len(batch) >= self._sink.max_changes):
                break
            batch.append((row, body))
        return batch

    def _id(self, row: WireItem) -> str:
        return id_of(row, self._key)
