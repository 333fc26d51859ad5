"""The part of a plan that is about an index that is compared with its table: which one, and its documents."""

from __future__ import annotations

from dataclasses import replace

from reindexer.errors import BadInput
from reindexer.models import (
    Compare,
    Complete,
    JobInput,
    Keys,
    Operation,
    PlanInput,
    Segment,
    TableFacts,
    documents_of,
)
from reindexer.models.search_index import IndexBeside
from reindexer.planning.draft import Draft
from reindexer.planning.facts import Described
from reindexer.planning.refresh import as_indexed, behind_alias, existing
from reindexer.planning.replicate import FOLLOW_LAG
from reindexer.planning.search import ConnectSearch, PlannedIndex
from reindexer.planning.sizing import MAX_SHARDS, segments, shard_count
from reindexer.search.asking import repeated
from reindexer.search.document_ranges import MAX_RANGES, ranges_of

#: Segments of the table: ranges of documents are shards of the job besides.
_MAX_SEGMENTS = MAX_SHARDS - MAX_RANGES


def check_compared_index(job: JobInput) -> None:
    """What needs neither table nor cluster. Raises `BadInput`."""
    if not isinstance(job.scope, Complete | Keys):
        raise BadInput(f"an index is compared whole or by keys, not by {job.scope.kind}", "scope")
    if job.limits.other_read_units_per_second is not None:
        raise BadInput("an index has no read units", "limits.other_read_units_per_second")
    if job.skip_expired:
        raise BadInput("an expired record may have a document, or none: leave it out", "skip_expired")


def compares_index(operation: Operation) -> bool:
    """Whether it compares the table with an index."""
    return documents_of(operation) is not None


def plan_compared_index(draft: Draft, operation: Compare, connect: ConnectSearch) -> PlannedIndex:
    """The index, and its documents in parts; none where keys are named. Raises as `plan_refresh`."""
    documents, beside = documents_of(operation), operation.other
    assert documents is not None, "no index"
    assert isinstance(beside, IndexBeside), "no index"
    client = connect(documents.to)
    index = beside.index or behind_alias(client, beside.name)
    search, own = existing(client, draft, documents, index)
    search = search.model_copy(update={"ttl": draft.described.ttl, "lag_seconds": operation.lag_seconds})
    whole = isinstance(draft.request.job.scope, Complete)
    ranges = repeated(client, lambda: ranges_of(client, index)) if whole else []
    operation = as_indexed(operation, own, draft.ledger)
    return PlannedIndex(search, int(own["epoch"]), None, [], operation, ranges)


def checks_of(
    request: PlanInput, planned: PlannedIndex, described: Described
) -> tuple[PlannedIndex, list[Segment]]:
    """What of the table a follow compares once it is drained, where that is asked for; documents come besides.

    A difference has to last, since changes are under way.
    """
    if not request.follows or request.job.verify != "complete":
        return planned, []
    search = planned.search.model_copy(update={"ttl": described.ttl, "lag_seconds": FOLLOW_LAG})
    return replace(planned, search=search), segments_beside(request.job, described.facts, request.run)


def segments_beside(job: JobInput, facts: TableFacts, run: str) -> list[Segment]:
    """The table's part of the work."""
    total = min(_MAX_SEGMENTS, job.total_segments or shard_count(facts.items, facts.size_bytes))
    return segments(facts.items, facts.size_bytes, total, run)
