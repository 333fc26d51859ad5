"""An index from its creation to the move of the readers' alias. Each call may be repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reindexer.answers import CallFailed
from reindexer.errors import Refused
from reindexer.models import IndexCreation, IndexInput, SearchIndex
from reindexer.search.client import SearchClient
from reindexer.search.documents import GONE, ORDER

#: Hides tombstones from readers. Reading by ID does not pass through it.
VISIBLE: Mapping[str, Any] = {"bool": {"must_not": {"exists": {"field": GONE}}}}
#: While an index is filled nothing searches it: neither refreshes nor copies are of use.
_FILLING: Mapping[str, Any] = {"refresh_interval": "-1", "number_of_replicas": 0}
#: What an index's `_meta` says of us.
_META = "reindexer"
#: In it: the indexes that the readers' alias pointed at when ours was created.
_READERS = "readers"
#: What OpenSearch says of a mapping or of settings that it does not take.
_NOT_TAKEN = frozenset(
    ("mapper_parsing_exception", "illegal_argument_exception", "settings_exception", "parse_exception")
)


def index_name(alias: str, epoch: int) -> str:
    """The concrete index of an epoch."""
    return f"{alias}-{epoch}"


def create(client: SearchClient, request: IndexInput) -> None:
    """Create the index with its write alias; nothing happens where this run has created it before.

    Raises `Refused` where there is one that is not this run's, or where OpenSearch does not take the mapping or
    the settings; `CallFailed`.
    """
    assert request.creation is not None, "created with what?"
    behind = behind_alias(client, request.index.alias)
    index, creation = request.index, request.creation
    settings = {**index_settings(creation.settings), **_FILLING}
    body = {
        "settings": {"index": settings},
        "mappings": {**creation.mappings, "_meta": _meta(request, creation, behind)},
        "aliases": {index.write_alias: {"is_write_index": True}},
    }
    try:
        client.call("PUT", f"/{index.index}", body)
    except CallFailed as failed:
        if failed.failure.code in _NOT_TAKEN:
            raise Refused(f"{index.index}: {failed.failure.message}", "BadIndex") from failed
        if failed.failure.code != "resource_already_exists_exception":
            raise
        own = meta_of(client, index.index)
        if own.get("run") != request.run:
            why = f"there is an index {index.index} that this job has not created"
            raise Refused(why, "IndexExists") from failed


def _meta(request: IndexInput, creation: IndexCreation, behind: list[str] | None) -> dict[str, Any]:
    own = {
        "run": request.run,
        "job": request.job,
        "table": request.table_arn,
        "epoch": request.epoch,
        # How documents are made, for whoever writes some of them again: what the mapping says now includes
        # fields that were met only later.
        "numbers_as_text": request.index.numbers_as_text,
        "left_out": request.index.left_out,
        # What readers had then: only that is taken from them without asking again. None: an index of that name.
        _READERS: behind,
        # What `make_ready` gives it, whichever job comes to that.
        "ready": {name: index_settings(creation.settings).get(name) for name in _FILLING},
    }
    theirs: Any = creation.mappings.get("_meta")
    return {**(theirs or {}), _META: own}


def meta_of(client: SearchClient, index: str) -> Mapping[str, Any]:
    """What the index says of the job that created it; empty where it is none of ours. Raises `CallFailed`."""
    answer = client.call("GET", f"/{index}/_mapping")
    return own_meta(next(iter(answer.values()))["mappings"])


def own_meta(mappings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, from the index's mapping."""
    found: Mapping[str, Any] = (mappings.get("_meta") or {}).get(_META) or {}
    return found


def take_over(client: SearchClient, index: str, epoch: int) -> None:
    """Let the index say that another epoch fills it. Raises `Refused` where it is not ours; `CallFailed`."""
    answer = client.call("GET", f"/{index}/_mapping")
    theirs: Mapping[str, Any] = next(iter(answer.values()))["mappings"].get("_meta") or {}
    if not theirs.get(_META):
        raise Refused(f"{index} is not an index that a job has made", "IndexReplaced")
    own = {**theirs[_META], "epoch": epoch}
    client.call("PUT", f"/{index}/_mapping", {"_meta": {**theirs, _META: own}})


def highest_order(client: SearchClient, index: str) -> int | None:
    """The highest order of its documents; None: it has none. Raises `CallFailed`."""
    client.call("POST", f"/{index}/_refresh")
    body = {"size": 1, "_source": [ORDER], "sort": [{ORDER: {"order": "desc", "unmapped_type": "long"}}]}
    found = client.call("POST", f"/{index}/_search", body)["hits"]["hits"]
    return int(found[0]["_source"][ORDER]) if found else None


def types_of(client: SearchClient, index: str) -> dict[str, str]:
    """The type of each field at the top of a document, as the index has it now. Raises `CallFailed`."""
    answer = client.call("GET", f"/{index}/_mapping")
    properties: Mapping[str, Any] = next(iter(answer.values()))["mappings"].get("properties", {})
    return {name: str(field.get("type", "object")) for name, field in properties.items()}


def make_ready(client: SearchClient, index: str, own: Mapping[str, Any]) -> None:
    """Give it the refresh interval and the copies that its readers are to have, and make all of it visible.

    `own`: its `meta_of`. Raises `CallFailed`.
    """
    client.call("PUT", f"/{index}/_settings", {"index": own["ready"]})  # null: OpenSearch's own default
    client.call("POST", f"/{index}/_refresh")


def index_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an index without the levels and prefixes in which settings may be written."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if name == "index" and isinstance(value, Mapping):
            flat |= index_settings(value)
        else:
            flat[name.removeprefix("index.")] = value
    return flat


def count(client: SearchClient, index: str) -> tuple[int, int]:
    """(documents that readers see, tombstones). Raises `CallFailed`."""
    visible = client.call("POST", f"/{index}/_count", {"query": VISIBLE})["count"]
    return visible, client.call("GET", f"/{index}/_count")["count"] - visible


def behind_alias(client: SearchClient, alias: str) -> list[str] | None:
    """The indexes that an alias points at, none where there is no such alias; None: it is an index itself.

    Raises `CallFailed`.
    """
    try:
        answer = client.call("GET", f"/{alias}")
    except CallFailed as failed:
        if failed.failure.code == "index_not_found_exception":
            return []
        raise
    return None if alias in answer else sorted(answer)


def moved_by_others(client: SearchClient, index: SearchIndex, own: Mapping[str, Any]) -> str:
    """Why the readers' alias is not ours to move: somebody pointed it elsewhere since the index was created.

    "": it may move. `own`: the index's `meta_of`; one of an older release does not say. Raises `CallFailed`.
    """
    before, now = own.get(_READERS), behind_alias(client, index.alias)
    if _READERS not in own or now is None:  # an index of that name: `replace_index` says whether it may go
        return ""
    others = sorted(set(now) - set(before or []) - {index.index})
    if not others:
        return ""
    return (
        f"{index.alias} was pointed at {others[0]} while the index was made; point it back, or take it by "
        "`--move-alias always`"
    )


def move_alias(client: SearchClient, request: IndexInput) -> list[str]:
    """Point the readers' alias at the index alone, in one request; returns what it pointed at before.

    Raises `Refused` where its name is that of an index and `replace_index` does not permit to remove that.
    """
    index, before = request.index, behind_alias(client, request.index.alias)
    if before == [index.index]:
        return []
    actions: list[dict[str, Any]] = [
        {"remove": {"index": name, "alias": index.alias}} for name in before or [] if name != index.index
    ]
    if before is None:
        if not request.replace_index:
            raise Refused(replacing(index.alias), "AliasIsIndex")
        actions = [{"remove_index": {"index": index.alias}}]
    actions.append({"add": {"index": index.index, "alias": index.alias, "filter": VISIBLE}})
    client.call("POST", "/_aliases", {"actions": actions})
    return [index.alias] if before is None else before


def replacing(alias: str) -> str:
    """Why an alias cannot be set where an index has its name."""
    return (
        f"{alias} is an index today, not an alias; set replace_index to remove it, with all that it holds, "
        "in the request that creates the alias"
    )


def indexes_of(client: SearchClient, alias: str) -> dict[str, Mapping[str, Any]]:
    """Our indexes of an alias, each with what it says of its job, oldest first. Raises `CallFailed`."""
    answer = client.call("GET", f"/{alias}-*/_mapping", ignore_unavailable="true")
    pattern = re.compile(re.escape(alias) + r"-(\d+)$")
    found = {}
    for name, entry in answer.items():
        own = own_meta(entry["mappings"])
        if own and pattern.match(name):
            found[name] = own
    return dict(sorted(found.items(), key=lambda pair: int(pair[1].get("epoch", 0))))


def remove(client: SearchClient, index: str) -> None:
    """Remove an index; nothing happens where it is gone. Raises `CallFailed`."""
    try:
        client.call("DELETE", f"/{index}")
    except CallFailed as failed:
        if failed.failure.code != "index_not_found_exception":
            raise
