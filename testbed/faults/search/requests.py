"""What a request to OpenSearch is: its operation, the index it names, and the documents that it writes.

It is written apart from the engine on purpose: what checks the counts must not share code with what made them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs, unquote

import orjson

from testbed.faults.lots import digest

#: Operations that write documents. The two by query do not say which, and count as unread.
_BY_QUERY = frozenset(("update_by_query", "delete_by_query", "reindex"))
WRITES = frozenset(("bulk", "index", "create", "update", "delete")) | _BY_QUERY
READS = frozenset(("search", "count", "get", "mget", "msearch", "scroll", "point_in_time", "source", "exists"))
#: The part of a path that names the operation, where it is not the part itself without its underscore.
_NAMED = {
    "_mapping": "mapping",
    "_mappings": "mapping",
    "_alias": "alias",
    "_aliases": "alias",
    "_settings": "settings",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One document that a request writes. `id` None: OpenSearch makes one up."""

    kind: str  # index, create, update or delete
    index: str
    id: str | None
    version: int | None
    source: bytes | None  # as sent; None of a delete
    raw: bytes  # its lines of the bulk, line ends included; b"" of other requests
    entry: int  # its place in the request, from 0


@dataclass
class Request:
    """One request as the proxy understands it. `path` is raw, with its query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    number: int = field(default=0, init=False)  # how often the same request has come by now

    @cached_property
    def operation(self) -> str:
        """bulk, index, create, update, delete; search, count, get, mget …; mapping, alias, settings …; `admin`.

        `create_index`, `delete_index` and `get_index` where the path is an index and nothing else.
        """
        parts = self._parts
        named = next((part for part in parts if part.startswith("_")), None)
        if named is None:
            verbs = {"PUT": "create_index", "DELETE": "delete_index", "GET": "get_index", "HEAD": "get_index"}
            return verbs.get(self.method, "admin") if parts else "admin"
        if named in ("_doc", "_create", "_update"):
            if self.method in ("GET", "HEAD"):
                return "get"
            if self.method == "DELETE":
                return "delete"
            return {"_doc": "index", "_create": "create", "_update": "update"}[named]
        for special in ("scroll", "point_in_time"):
            if special in parts:
                return special
        return _NAMED.get(named, named.removeprefix("_"))

    @cached_property
    def index(self) -> str:
        """What the path names as its index or alias; "" where it names none."""
        first = self._parts[0] if self._parts else ""
        return "" if first.startswith("_") else first

    @cached_property
    def indexes(self) -> frozenset[str]:
        """Every index or alias that the request names, in its path or in the actions of a bulk."""
        return frozenset(filter(None, (*self.index.split(","), *(action.index for action in self.actions))))

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """The documents that it writes; none where it cannot be read."""
        try:
            if self.operation == "bulk":
                return tuple(self._bulk())
            return (self._single(),) if self.operation in WRITES - _BY_QUERY else ()
        # A generator that meets the end of the lines raises `RuntimeError`.
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RuntimeError,
        ):  # malformed: OpenSearch refuses it
            return ()

    @property
    def unreadable(self) -> bool:
        """Whether it writes documents that cannot be named."""
        return self.operation in WRITES and not self.actions

    @cached_property
    def identity(self) -> bytes:
        """The same for the same request again: the documents it writes, not what it writes; else all of it."""
        if not self.actions:
            return digest(f"{self.method} {self.path}\n".encode() + self.body)
        documents = sorted(f"{action.index} {action.id}" for action in self.actions)
        return digest("\n".join((self.operation, *documents)).encode())

    @cached_property
    def _parts(self) -> list[str]:
        return [unquote(part) for part in self.path.partition("?")[0].split("/") if part]

    def _bulk(self) -> Iterator[Action]:
        lines, entry = iter(self.body.split(b"\n")), 0
        for line in lines:
            if not line.strip():
                continue
            [(kind, meta)] = orjson.loads(line).items()
            source = None if kind == "delete" else next(lines)
            raw = b"".join(part + b"\n" for part in (line, source) if part is not None)
            index = meta.get("_index") or self.index
            yield Action(kind, index, meta.get("_id"), meta.get("version"), source, raw, entry)
            entry += 1

    def _single(self) -> Action:
        parts = self._parts
        query = parse_qs(self.path.partition("?")[2])
        version = query.get("version")
        source = None if self.operation == "delete" else self.body
        name = parts[2] if len(parts) > 2 else None
        return Action(self.operation, parts[0], name, int(version[0]) if version else None, source, b"", 0)
