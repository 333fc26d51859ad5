"""The truth about what reached OpenSearch and what it did, document by document: jobs are checked against it.

It is drawn from OpenSearch's real answers, before any of them is lost on the way back.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from testbed.faults.search.requests import Action

_DONE = frozenset((200, 201))
_REFUSED = 409  # its version was not high enough
_NEVER = -1  # OpenSearch's own terms and numbers begin at 0


@dataclass(slots=True)
class Write:
    """One write that OpenSearch accepted. `place` is its own order: primary term and sequence number."""

    kind: str  # index, create, update or delete; a delete of what was not there, too
    version: int | None  # what the answer says
    source: str | None  # SHA-256 of the document's bytes as sent, see `source_digest`; None of a delete
    status: int
    place: tuple[int, int]


@dataclass(slots=True)
class DocumentTruth:
    """The writes of one document. `forwarded` is always the sum of accepted ones and the three others."""

    forwarded: int = 0
    accepted: list[Write] = field(default_factory=list)  # in the order in which OpenSearch carried them out
    refused: int = 0  # 409
    rejected: int = 0  # for another reason: throttled, invalid, in an index that is not there
    unknown: int = 0  # OpenSearch answered 5xx or not at all


class SearchTruth(BaseModel):
    """What the proxy did and saw since its start or last reset."""

    model_config = ConfigDict(extra="forbid")

    #: How often each kind of fault struck: requests, or items of bulks for the kinds that strike those.
    injected: dict[str, int]
    calls: dict[str, int]  # received, by operation
    #: By concrete index, where OpenSearch named it, and document id. A deleted index is forgotten.
    indexes: dict[str, dict[str, DocumentTruth]]
    unread: int  # writes whose documents could not be found: 0, or the lists are not complete
    server_lost: int  # requests that OpenSearch did not answer
    pending: int  # requests still to be forwarded or answered by OpenSearch: above 0, the lists may yet grow

    def document(self, index: str, name: str) -> DocumentTruth:
        """The writes of one document; none if there were none."""
        return self.indexes.get(index, {}).get(name) or DocumentTruth()

    def accepted(self, index: str) -> int:
        """Writes accepted by the index, repeated ones included."""
        return sum(len(document.accepted) for document in self.indexes.get(index, {}).values())

    def last(self, index: str) -> dict[str, Write]:
        """The last write that was accepted for each document, deletes included."""
        documents = self.indexes.get(index, {})
        return {name: document.accepted[-1] for name, document in documents.items() if document.accepted}

    def went_back(self, index: str) -> list[str]:
        """Ids of documents for which a lower version was accepted after a higher one."""
        return [
            name
            for name, document in self.indexes.get(index, {}).items()
            if any(
                (later.version or 0) < (earlier.version or 0)
                for earlier, later in zip(document.accepted, document.accepted[1:], strict=False)
            )
        ]


class SearchTracker:
    """The truth while it is being gathered. Not thread-safe: it lives in one event loop."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.indexes: defaultdict[str, dict[str, DocumentTruth]] = defaultdict(dict)
        self.unread = self.server_lost = self.pending = 0

    def record(self, actions: Sequence[Action], results: Sequence[Mapping[str, Any] | None]) -> None:
        """Write down what was forwarded and what became of it; None: not known."""
        for action, result in zip(actions, results, strict=True):
            answered = result or {}
            name = answered.get("_id") or action.id
            if name is None:
                self.unread += not 400 <= answered.get("status", 0) < 500  # what was refused changed nothing
                continue
            documents = self.indexes[answered.get("_index") or action.index]
            document = documents.get(name)
            if document is None:
                document = documents[name] = DocumentTruth()
            _add(document, action, answered)

    def forget(self, index: str) -> None:
        """Its documents are gone with it."""
        self.indexes.pop(index, None)

    def as_json(self) -> bytes:
        """A `SearchTruth`, as JSON."""
        for documents in self.indexes.values():
            for document in documents.values():
                # Answers to requests that were under way at once come in any order.
                document.accepted.sort(key=lambda write: write.place)
        names = ("calls", "indexes", "unread", "server_lost", "pending")
        injected = {str(kind): count for kind, count in self.injected.items()}  # orjson wants plain strings
        return orjson.dumps({"injected": injected, **{name: getattr(self, name) for name in names}})


def source_digest(source: bytes) -> str:
    """What a `Write` says of a document's bytes, the line end of a bulk left out."""
    return hashlib.sha256(source).hexdigest()


def results(actions: Sequence[Action], status: int, body: bytes) -> list[Mapping[str, Any] | None]:
    """What OpenSearch says of each of a request's documents: its item of the answer, or None: not known."""
    if status >= 500:  # HTTP's class of server errors
        return [None] * len(actions)
    answer = orjson.loads(body) if body.startswith(b"{") else {}
    items = answer.get("items")
    if isinstance(items, list):
        return [next(iter(item.values())) for item in items] if len(items) == len(actions) else []
    return [{**answer, "status": status}] * len(actions)


def _add(document: DocumentTruth, action: Action, answered: Mapping[str, Any]) -> None:
    document.forwarded += 1
    status = answered.get("status", 0)
    if status in _DONE or (action.kind == "delete" and answered.get("result") == "not_found"):
        place = (answered.get("_primary_term", _NEVER), answered.get("_seq_no", _NEVER))
        source = None if action.source is None else source_digest(action.source)
        version = answered.get("_version", action.version)
        document.accepted.append(Write(action.kind, version, source, status, place))
    elif status == _REFUSED:
        document.refused += 1
    elif 0 < status < 500:
        document.rejected += 1
    else:
        document.unknown += 1
