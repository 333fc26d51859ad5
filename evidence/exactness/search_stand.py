"""What indexes of the matrix need besides: one OpenSearch behind its own fault proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.faults.search import SearchFaultPlan, SearchFaultProxy, SearchTruth, search_fault_proxy
from testbed.search import SearchServer


@dataclass(frozen=True)
class SearchStand:
    """The server, to look at and to kill, and the proxy that jobs write through."""

    server: SearchServer
    proxy: SearchFaultProxy

    def quiet(self) -> None:
        """No faults, and the truth begins again."""
        self.proxy.set_plan(SearchFaultPlan())
        self.proxy.reset()

    def accepted(self, alias: str) -> int:
        """Documents of the alias's indexes that were accepted so far, repeated ones included."""
        truth = self.proxy.truth()
        return sum(truth.accepted(name) for name in truth.indexes if name.startswith(f"{alias}-"))


def written(index: str, truth: SearchTruth) -> dict[str, int]:
    """How often each document was accepted, by the name under which a run writes."""
    documents = truth.indexes.get(f"{index}-write", {})
    return {name: len(document.accepted) for name, document in documents.items()}


def refused(index: str, truth: SearchTruth) -> dict[str, int]:
    """How many documents OpenSearch would not take, as a fault that struck."""
    documents = truth.indexes.get(f"{index}-write", {}).values()
    count = sum(document.rejected > 0 for document in documents)
    return {"documents refused": count} if count else {}


@contextmanager
def search_stand(folder: Path) -> Iterator[SearchStand]:
    """Both for the block. Raises `ServerUnavailable`."""
    with (
        SearchServer(logs=folder) as server,
        search_fault_proxy(server.url, SearchFaultPlan(), logs=folder) as proxy,
    ):
        yield SearchStand(server, proxy)
