"""The part of a plan that is about a search index: reached, named by its epoch, and what it is created with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import orjson

from reindexer.errors import BadInput, EnvironmentFault, Refused
from reindexer.items import OF_COPIES, WireItem
from reindexer.models import (
    Attributes,
    Complete,
    DocumentRange,
    Index,
    IndexCreation,
    JobInput,
    Keys,
    Operation,
    Partitions,
    Quarantined,
    Sample,
    SearchAddress,
    SearchIndex,
)
from reindexer.planning.draft import Draft
from reindexer.planning.sampling import Sampled
from reindexer.search import admin
from reindexer.search.asking import answering, asked, repeated
from reindexer.search.client import SearchClient
from reindexer.search.mapping import FIELD_LIMIT, fields_of, mapping_from, numbers_as_text, with_own_fields
from reindexer.streams.order import next_epoch

T = TypeVar("T")

#: Makes a client that reaches a cluster. Raises `EnvironmentFault`.
ConnectSearch: TypeAlias = Callable[[SearchAddress], SearchClient]

#: Bytes of mapping and settings together: they travel with the plan, once.
MAX_CREATION_BYTES = 256 * 1024
#: Oldest OpenSearch that the rules of order were tried on.
_OLDEST = 2
_TRIES = 6  # of a request that meets only 429 and 5xx: some seconds


@dataclass(frozen=True)
class PlannedIndex:
    """The index of a job. `creation` None: it is there already, for a redrive or a refresh."""

    search: SearchIndex
    epoch: int
    creation: IndexCreation | None
    warnings: list[str]
    operation: Operation | None = None  # where it is more than what was asked for
    documents: Sequence[DocumentRange] = ()  # what is read of it, beside the table


def check_index(job: JobInput, operation: Index) -> None:
    """What needs neither table nor cluster. Raises `BadInput`."""
    if not isinstance(job.scope, Complete | Quarantined) and not (
        job.dry_run and isinstance(job.scope, Sample)
    ):
        raise BadInput(
            f"an index is made of a whole table, not of {job.scope.kind}: the rest would be missing",
            "scope",
        )
    size = len(orjson.dumps([operation.mapping, operation.settings]))
    if size > MAX_CREATION_BYTES:
        raise BadInput(f"mapping and settings have {size:,} bytes, above {MAX_CREATION_BYTES:,}", "operation")


def check_refresh(job: JobInput, else_: str) -> None:
    """What a refresh is for. `else_`: what is for a whole table. Raises `BadInput`."""
    if not isinstance(job.scope, Keys | Partitions | Quarantined):
        raise BadInput(
            f"a refresh is for named keys or partitions, not for {job.scope.kind}: {else_}",
            "scope",
        )


def plan_index(draft: Draft, operation: Index, connect: ConnectSearch) -> PlannedIndex:
    """An epoch that the draft has is that of a run; else a follow that resumes takes up the last one.

    Any other job gets a new one: for an index of its own, or of a rescan for the one that it fills again.

    Raises `BadInput` where the input rules itself out, `Refused` where the cluster does, `EnvironmentFault`
    (`Unavailable` is retryable) where it cannot be asked.
    """
    request, ledger, found, epoch = draft.request, draft.ledger, draft.aim.found, draft.aim.version
    client, address, chosen = connect(operation.to), operation.to, epoch
    search = reached(client, address, draft.attributes)
    if request.resumes:
        epoch = chosen = ledger.epochs.last(search.destination) or 0
        if not epoch:
            raise Refused(
                f"no follow has written for {address.alias} yet: begin with a backfill", "NoPositions"
            )
    last, now = ledger.epochs.last(search.destination), int(request.started_at.timestamp() * 1000)
    if index := request.rescans:
        highest = repeated(client, lambda: admin.highest_order(client, index))
        search = search.model_copy(update={"index": index, "refilled": True})
        chosen = next_epoch(now, last, highest)
        return PlannedIndex(as_made(search, mappings_of(client, index)), chosen, None, [])
    if not epoch:
        chosen = next_epoch(now, last)
    refilled = ledger.epochs.index_of(search.destination, chosen) if epoch else None
    name = refilled or admin.index_name(address.alias, chosen)
    search = search.model_copy(update={"index": name, "refilled": refilled is not None})
    if epoch:
        return PlannedIndex(as_made(search, mappings_of(client, search.index)), chosen, None, [])
    creation = _creation(operation, found.items if found else [], search.left_out)
    warnings = _check_alias(client, operation) + _check_fields(creation, found, search.left_out)
    if draft.described.facts.items and not creation.mappings["properties"]:
        warnings.append("the mapping names no field of the records: each is mapped as it is first met")
    return PlannedIndex(_typed(search, creation.mappings), chosen, creation, warnings)


def reached(client: SearchClient, address: SearchAddress, attributes: Attributes) -> SearchIndex:
    """The cluster behind the address, and what no document has; the index is not named yet.

    Raises `Refused`, `EnvironmentFault`.
    """
    return SearchIndex(
        search=address.search,
        alias=address.alias,
        auth=address.auth,
        region=address.region,
        cluster=cluster_of(client),
        index="",
        left_out=[attributes.version, attributes.run, *OF_COPIES],
    )


def cluster_of(client: SearchClient) -> str:
    """The UUID of the cluster, which is one that an index can be made in.

    Raises `Refused`, `EnvironmentFault` (`Unavailable` is retryable).
    """
    info = _about(client)
    version = info.get("version", {})
    number = str(version.get("number", "0"))
    if version.get("distribution") != "opensearch" or int(number.split(".")[0]) < _OLDEST:
        raise Refused(
            f"{client.url} is {version.get('distribution', 'another product')} {number}; "
            f"an index needs OpenSearch {_OLDEST} or newer",
            "NotOpenSearch",
        )
    return str(info["cluster_uuid"])


def _about(client: SearchClient) -> dict[str, Any]:
    """What the cluster says of itself. Raises `Refused`, `EnvironmentFault`."""
    try:
        info = asked(client, "GET", "/")
    except EnvironmentFault as fault:
        if fault.code != "SerializationError":
            raise
        raise Refused(f"{client.url} answers, but not as OpenSearch does", "NotOpenSearch") from fault
    return info


def mappings_of(client: SearchClient, index: str) -> dict[str, Any]:
    """The index's mapping as it is now. Raises `Refused`, `EnvironmentFault`."""
    try:
        answer = asked(client, "GET", f"/{index}/_mapping")
    except EnvironmentFault as error:
        raise Refused(f"the index {index} of that run is gone: {error.message}", "IndexGone") from error
    found: dict[str, Any] = answer[index]["mappings"]
    return found


def _creation(operation: Index, rows: list[WireItem], left_out: list[str]) -> IndexCreation:
    settings = operation.settings or {}
    flat = admin.index_settings(settings)
    for name in ("default_pipeline", "final_pipeline"):
        if flat.get(name, "_none") != "_none":
            raise BadInput(f"{name}: a pipeline would change documents on their way", "operation.settings")
    if operation.mapping is not None:
        return IndexCreation(mappings=with_own_fields(operation.mapping), settings=settings)
    if operation.job is not None:
        raise BadInput("a job's documents need a mapping: --mapping FILE", "operation.mapping")
    creation = IndexCreation(mappings=mapping_from(rows, left_out), settings=settings, made_from_sample=True)
    size = len(orjson.dumps(creation.mappings))
    if size > MAX_CREATION_BYTES:
        raise BadInput(
            f"a mapping made from a sample of the records would have {size:,} bytes; give one",
            "operation.mapping",
        )
    return creation


def as_made(search: SearchIndex, mappings: Mapping[str, Any]) -> SearchIndex:
    """An index that is there: documents are made as those were that it has."""
    own, typed = admin.own_meta(mappings), _typed(search, mappings)
    return typed.model_copy(update={name: own[name] for name in ("numbers_as_text", "left_out") if name in own})


def _typed(search: SearchIndex, mappings: Mapping[str, Any]) -> SearchIndex:
    return search.model_copy(update={"numbers_as_text": numbers_as_text(mappings)})


def _check_alias(client: SearchClient, operation: Index) -> list[str]:
    alias = operation.to.alias
    with answering(client):
        behind = admin.behind_alias(client, alias)
    if behind is not None:
        return []
    if not operation.replace_index:
        raise Refused(admin.replacing(alias), "AliasIsIndex")
    return [f"{alias} is an index today: it is removed, with all that it holds, once the new one is complete"]


def _check_fields(creation: IndexCreation, found: Sampled | None, left_out: list[str]) -> list[str]:
    """A warning where records have more attributes than the index takes fields: such documents are refused."""
    settings = admin.index_settings(creation.settings)
    limit = int(settings.get("mapping.total_fields.limit", FIELD_LIMIT))
    fields = fields_of(creation.mappings)
    if found and not creation.made_from_sample:
        fields = max(fields, fields_of(mapping_from(found.items, left_out)))
    if fields <= limit:
        return []
    return [
        f"{found.rows if found else 0} sampled records make {fields:,} fields, and the index takes {limit:,}: "
        "documents with more are refused and given up; raise index.mapping.total_fields.limit in the "
        "settings, or leave attributes out by a job"
    ]
