"""The part of a plan that is about an index that is there: which one readers have, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reindexer.errors import BadInput, Refused
from reindexer.ledger import Ledger
from reindexer.models import Attributes, Refresh
from reindexer.planning.facts import Described
from reindexer.planning.search import ConnectSearch, PlannedIndex, as_made, mappings_of, reached
from reindexer.search import admin
from reindexer.search.asking import answering


def plan_refresh(
    operation: Refresh, attributes: Attributes, described: Described, ledger: Ledger, connect: ConnectSearch
) -> PlannedIndex:
    """The index that the alias points at, with its epoch.

    Raises `BadInput` where its documents are made in another way, `Refused` where it is no index that
    `reindexer index` has made of this table, `EnvironmentFault` where the cluster cannot be asked.
    """
    client, alias = connect(operation.to), operation.to.alias
    search = reached(client, operation.to, attributes)
    with answering(client):
        behind = admin.behind_alias(client, alias)
        if behind is None or len(behind) != 1:
            raise Refused(_not_one(alias, behind), "NoIndex")
        [index] = behind
    mappings = mappings_of(client, index)
    own = admin.own_meta(mappings)
    if not own:
        raise Refused(f"{index}, which {alias} points at, was not made by `reindexer index`", "NoIndex")
    if own["table"] != described.arn:
        raise Refused(f"{index} has documents of {own['table']}, not of {described.arn}", "NoIndex")
    search = as_made(search.model_copy(update={"index": index}), mappings)
    return PlannedIndex(search, int(own["epoch"]), None, [], _as_indexed(operation, own, ledger))


def _not_one(alias: str, behind: list[str] | None) -> str:
    if behind is None:
        return f"{alias} is an index, not the alias of one that `reindexer index` has made"
    if not behind:
        return f"there is no alias {alias}: `reindexer index` makes an index and points it there"
    return f"{alias} points at {len(behind)} indexes ({', '.join(behind[:3])}): which one is not known"


def _as_indexed(operation: Refresh, own: Mapping[str, Any], ledger: Ledger) -> Refresh:
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
