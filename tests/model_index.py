"""A search index in memory: external versions as OpenSearch keeps them, and faults on the way to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from reindexer.answers import Action, CallFailed, Failure
from reindexer.dynamo.table import TableClient
from reindexer.models import (
    Index,
    Refresh,
    RoundInput,
    RoundResult,
    SearchAddress,
    SearchIndex,
    Segment,
    Target,
)
from reindexer.search.client import SearchClient, Stored
from reindexer.search.documents import GONE, ORDER
from reindexer.table_rounds import Cluster, make_round
from tests.driving import PATIENCE, FakeContext, target
from tests.model_table import Killed, ModelTable

INDEX = SearchIndex(search="http://search", alias="t", cluster="c", index="t-7")
_LOST = Failure("ConnectionError", "the connection was cut", Action.RETRY, None, "timeouts")


class ModelIndex(SearchClient):
    """What writes see of an index. `plan(n)`: what the n-th bulk request meets, from 0 on; "": nothing.

    `refuses`: values of `n` that its mapping does not take.
    "cut": nothing is written and there is no answer; "cut, applied": it is written; "killed, applied": so, and
    the worker dies; "unsaid": refusals do not name the stored order; "half": half of the answers are missing.
    """

    def __init__(self, plan: Callable[[int], str] = lambda _: "", refuses: Collection[int] = ()) -> None:
        self.stored_documents: dict[str, dict[str, Any]] = {}
        self.accepted: Counter[str] = Counter()
        self.requests = 0
        self.looks = 0
        self._plan, self._refuses = plan, refuses

    def bulk(self, body: bytes, documents: int) -> Sequence[Mapping[str, Any]]:
        what = self._plan(self.requests)
        self.requests += 1
        if what == "cut":
            raise CallFailed(_LOST)
        lines = body.splitlines()
        assert len(lines) == 2 * documents
        said = what != "unsaid"
        answers = [
            self._write(json.loads(action)["index"], json.loads(source), said=said)
            for action, source in zip(lines[::2], lines[1::2], strict=True)
        ]
        if what == "killed, applied":
            raise Killed
        if what == "cut, applied":
            raise CallFailed(_LOST)
        return answers[: documents // 2] if what == "half" else answers

    def _write(self, action: Mapping[str, Any], source: dict[str, Any], *, said: bool) -> dict[str, Any]:
        if action["_index"] != INDEX.write_alias:
            return {"status": 404, "error": {"type": "index_not_found_exception", "reason": "no such index"}}
        assert action["version_type"] in ("external", "external_gte")
        name, version = action["_id"], action["version"]
        assert source[ORDER] == version
        if source.get("n") in self._refuses:
            return {"status": 400, "error": {"type": "document_parsing_exception", "reason": "failed to parse"}}
        before = self.stored_documents.get(name)
        if before and before[ORDER] >= version + (action["version_type"] == "external_gte"):
            reason = f"current version [{before[ORDER]}] is higher or equal to the one provided [{version}]"
            error = {"type": "version_conflict_engine_exception", "reason": reason if said else "conflict"}
            return {"status": 409, "error": error}
        self.stored_documents[name] = source
        self.accepted[name] += 1
        return {"status": 201}

    def call(self, method: str, path: str, *_: Any, **__: Any) -> dict[str, Any]:
        """It answers whoever asks whether it is well."""
        assert (method, path) == ("GET", f"/{INDEX.write_alias}/_count")
        return {"count": len(self.stored_documents)}

    def stored(self, index: str, ids: Sequence[str]) -> list[Stored | None]:
        assert index == INDEX.write_alias
        self.looks += 1
        found = [self.stored_documents.get(name) for name in ids]
        return [Stored(each[ORDER], GONE in each) if each else None for each in found]


def index_target(**more: Any) -> Target:
    """Of the model table's records, at epoch 7."""
    operation = Index(kind="index", to=SearchAddress(search="http://search", alias="t"))
    return target(operation=operation, search=INDEX, writer="bulk", **more)


def refresh_target(**more: Any) -> Target:
    """Of the same, written again."""
    operation = Refresh(kind="refresh", to=SearchAddress(search="http://search", alias="t"))
    return target(operation=operation, search=INDEX, writer="bulk", **more)


def index_round(
    table: ModelTable, index: ModelIndex, context: FakeContext | None = None, **request: Any
) -> RoundResult:
    """A round that writes documents of the table's rows, from its beginning unless `request` says otherwise."""
    fields: dict[str, Any] = {"target": index_target(), "source": Segment(segment=0, total=1), **request}
    calls = TableClient(table, "t")  # type: ignore[arg-type]
    context = context or FakeContext(table.clock)
    return make_round(RoundInput(**fields), calls, context, PATIENCE, second=Cluster(index)).run()
