"""Our indexes of an alias, and which of them are of no use any more."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reindexer.answers import CallFailed
from reindexer.models import Model, SearchAddress
from reindexer.models.search_index import write_alias
from reindexer.search import admin
from reindexer.search.client import SearchClient


class OwnIndex(Model):
    """An index that a job has made. `kept`: why it is to stay; "": it may go. None: not known."""

    index: str
    epoch: int
    table: str  # its ARN
    job: str
    run: str
    documents: int | None = None
    bytes: int | None = None
    kept: str = ""
    removed: bool = False


@dataclass(frozen=True)
class Writing:
    """A running job that holds the alias. `epoch`: of the index that it writes to; None: it is not known."""

    job: str
    run: str
    epoch: int | None


def indexes(
    client: SearchClient, address: SearchAddress, writing: Writing | None, *, keep: int, newer: bool
) -> list[OwnIndex]:
    """Our indexes of the alias, oldest first.

    Kept are: what the readers' alias points at, what a running job writes to, what has an alias of someone
    else, the `keep` newest of the others, and, unless `newer`, what is newer than the readers' one: it is of a
    job that ended early, or that was to leave the alias alone. Raises `CallFailed`.
    """
    own = admin.indexes_of(client, address.alias)
    if not own:
        return []
    readers = admin.behind_alias(client, address.alias) or []
    sizes, aliases = _sizes(client, address.alias), _aliases(client, address.alias)
    have = max((int(own[name].get("epoch", 0)) for name in readers if name in own), default=0)
    found = [_described(name, meta, sizes.get(name, {})) for name, meta in own.items()]
    why = {
        index.index: _why(index, readers, aliases, writing, have=have, newer=newer, alias=address.alias)
        for index in found
    }
    removable = [index.index for index in found if not why[index.index]]
    why |= dict.fromkeys(
        removable[len(removable) - keep :] if keep else [], f"one of the {keep} newest old ones"
    )
    return [index.model_copy(update={"kept": why[index.index]}) for index in found]


def _why(
    index: OwnIndex,
    readers: list[str],
    aliases: Mapping[str, list[str]],
    writing: Writing | None,
    *,
    have: int,
    newer: bool,
    alias: str,
) -> str:
    """Why it stays; "": it may go."""
    if index.index in readers:
        return "readers have it"
    if writing and writing.epoch in (None, index.epoch):
        return f"job {writing.job} writes to it" if writing.epoch else f"job {writing.job} may write to it"
    foreign = sorted(set(aliases.get(index.index, [])) - {alias, write_alias(index.index)})
    if foreign:
        return f"alias {foreign[0]} points at it"
    if index.epoch > have and not newer:
        return "newer than what readers have" if have else "readers have no index of this program"
    return ""


def _described(name: str, meta: Mapping[str, Any], size: Mapping[str, Any]) -> OwnIndex:
    return OwnIndex(
        index=name,
        epoch=int(meta.get("epoch", 0)),
        table=str(meta.get("table", "")),
        job=str(meta.get("job", "")),
        run=str(meta.get("run", "")),
        documents=_number(size.get("docs.count")),
        bytes=_number(size.get("store.size")),
    )


def _number(text: Any) -> int | None:
    return int(text) if str(text or "").isdigit() else None


def _sizes(client: SearchClient, alias: str) -> dict[str, Mapping[str, Any]]:
    """Of each index, as far as it may be asked for: nothing depends on it."""
    rows: Any = []
    with contextlib.suppress(CallFailed):
        rows = client.call(
            "GET", f"/_cat/indices/{alias}-*", format="json", bytes="b", h="index,docs.count,store.size"
        )
    return {row["index"]: row for row in rows}


def _aliases(client: SearchClient, alias: str) -> dict[str, list[str]]:
    answer = client.call("GET", f"/{alias}-*/_alias", ignore_unavailable="true")
    return {name: list(entry.get("aliases", {})) for name, entry in answer.items()}
