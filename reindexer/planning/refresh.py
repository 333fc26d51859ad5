"""The part of a plan that is about an index that is there: which one it is, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from reindexer.errors import BadInput, Refused
from reindexer.ledger import Ledger
from reindexer.models import Compare, Refresh, SearchIndex, ToSearch
from reindexer.planning.draft import Draft
from reindexer.planning.search import ConnectSearch, PlannedIndex, as_made, mappings_of, reached
from reindexer.search import admin
from reindexer.search.asking import answering
from reindexer.search.client import SearchClient

#: An operation with the job that makes its documents.
Asked = TypeVar("Asked", Refresh, Compare)


def plan_refresh(draft: Draft, operation: Refresh, connect: ConnectSearch) -> PlannedIndex:
    """The index that the alias points at, with its epoch.

    Raises `BadInput` where its documents are made in another way, `Refused` where it is no index that
    `reindexer index` has made of this table, `EnvironmentFault` where the cluster cannot be asked.
    """
    client = connect(operation.to)
    index = behind_alias(client, operation.to.alias)
    search, own = existing(client, draft, operation, index)
    return PlannedIndex(search, int(own["epoch"]), None, [], as_indexed(operation, own, draft.ledger))


def existing(
    client: SearchClient, draft: Draft, operation: ToSearch, index: str
) -> tuple[SearchIndex, Mapping[str, Any]]:
    """(the index, what it says of the job that made it). Raises as `plan_refresh`."""
    described = draft.described
    search = reached(client, operation.to, draft.attributes)
    mappings = mappings_of(client, index)
    own = admin.own_meta(mappings)
    if not own:
        raise Refused(f"{index} was not made by `reindexer index`", "NoIndex")
    if own["table"] != described.arn:
        raise Refused(f"{index} has documents of {own['table']}, not of {described.arn}", "NoIndex")
    return as_made(search.model_copy(update={"index": index}), mappings), own


def behind_alias(client: SearchClient, alias: str) -> str:
    """The one index that the alias points at. Raises `Refused`, `EnvironmentFault`."""
    with answering(client):
        behind = admin.behind_alias(client, alias)
    if behind is None or len(behind) != 1:
        raise Refused(_not_one(alias, behind), "NoIndex")
    return behind[0]


def _not_one(alias: str, behind: list[str] | None) -> str:
    if behind is None:
        return f"{alias} is an index, not the alias of one that `reindexer index` has made"
    if not behind:
        return f"there is no alias {alias}: `reindexer index` makes an index and points it there"
    return f"{alias} points at {len(behind)} indexes ({', '.join(behind[:3])}): which one is not known"


def as_indexed(operation: Asked, own: Mapping[str, Any], ledger: Ledger) -> Asked:
    """With the parameters that the index was made with, where none are given.

    Raises `BadInput` where its documents are made by another job.
    """
    report = ledger.reports.find(str(own["job"]), str(own["run"]))
    if report is None or "to" not in report.operation:  # none, or shortened to fit the ledger
        return operation
    made_by = report.operation.get("job")
    if made_by != operation.job:
        by = f"job {made_by}" if made_by else "no job, of whole items"
        raise BadInput(f"the documents of this index are made by {by}: name the same", "operation.job")
    params = operation.params or report.operation.get("params", {})
    return operation.model_copy(update={"params": params})
