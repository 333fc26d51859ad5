"""Where a follow writes and a refresh writes again: how it is spoilt, broken, and held against its table."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from botocore.exceptions import ClientError

from evidence.exactness import tables
from evidence.exactness.following import KEYS
from evidence.exactness.indexes import MAPPING
from evidence.exactness.refreshes import Refresh
from evidence.exactness.replicating import Watch, always, left_of
from evidence.exactness.scenes import COMPLETE, record_name
from evidence.exactness.search_stand import SearchStand
from evidence.exactness.stand import Stand
from evidence.exactness.two_tables import dropped
from testbed.faults import FaultPlan
from testbed.faults.search import SearchFaultPlan
from testbed.judge_index import differences

_LATE = 12.0  # seconds; the latest of the late writes comes 10 s after it was sent


class Destination(Protocol):
    """Of one table."""

    def follow(self) -> dict[str, Any]:
        """The operation."""

    def refresh(self) -> dict[str, Any]:
        """The operation."""

    def spoil(self) -> None:
        """What somebody else may do: of five records one gets other contents, and one goes. Marks stay."""

    def left(self) -> int:
        """How many keys differ, by a judge that shares no code with the jobs."""

    def set_faults(self, cell: Refresh) -> None:
        """Set the cell's faults."""

    def clear_faults(self) -> None:
        """No more faults."""

    def injected(self) -> dict[str, int]:
        """What has struck so far."""

    def watched(self) -> AbstractContextManager[dict[str, bool]]:
        """For the block; afterwards what must have held meanwhile."""

    def written(self) -> int:
        """Writes that it took."""

    def drop(self) -> None:
        """With its table."""


class Copies:
    """A replica."""

    def __init__(self, stand: Stand, table: str) -> None:
        self._stand, self._table = stand, table
        self._replica = tables.make(stand.direct, COMPLETE, ())

    def follow(self) -> dict[str, Any]:
        return {"kind": "replicate", "to": {"table": self._replica}}

    def refresh(self) -> dict[str, Any]:
        return {"kind": "refresh", "to": {"table": self._replica}}

    def spoil(self) -> None:
        live = {"ConditionExpression": "attribute_exists(reindexOrder) AND attribute_not_exists(reindexGone)"}
        to = {"UpdateExpression": "SET stray = :n, tags = :n", "ExpressionAttributeValues": {":n": {"N": "-1"}}}
        for number in range(0, KEYS, 5):
            changed, removed = (
                {"TableName": self._replica, "Key": {"id": {"S": record_name(each)}}, **live}
                for each in (number, number + 1)
            )
            _if_there(self._stand.direct.update_item, **changed, **to)
            _if_there(self._stand.direct.delete_item, **removed)

    def left(self) -> int:
        return len(left_of(self._stand.direct, self._table, self._replica))

    def set_faults(self, cell: Refresh) -> None:
        self._stand.proxy.set_plan(FaultPlan(faults=cell.plan(self._replica)))

    def clear_faults(self) -> None:
        self._stand.proxy.set_plan(FaultPlan())

    def injected(self) -> dict[str, int]:
        return dict(self._stand.proxy.truth().injected)

    @contextmanager
    def watched(self) -> Iterator[dict[str, bool]]:
        held: dict[str, bool] = {}
        with Watch(self._stand.direct, self._replica).at_work() as watch:
            yield held
        held |= always(watch, self._stand.proxy.truth(_LATE), self._table)

    def written(self) -> int:
        return self._stand.proxy.truth().applied(self._replica)

    def drop(self) -> None:
        dropped(self._stand, self._table, self._replica)


class Documents:
    """A search index."""

    def __init__(self, stand: Stand, search: SearchStand, table: str) -> None:
        self._stand, self._search, self._table = stand, search, table
        search.quiet()

    @property
    def _to(self) -> dict[str, str]:
        return {"search": self._search.proxy.endpoint_url, "alias": self._table}

    def follow(self) -> dict[str, Any]:
        return {"kind": "index", "to": self._to, "mapping": MAPPING}

    def refresh(self) -> dict[str, Any]:
        return {"kind": "refresh", "to": self._to}

    def spoil(self) -> None:
        for number in range(0, KEYS, 5):
            changed, removed = (record_name(each) for each in (number, number + 1))
            if at := self._version(changed):
                order = int(at.partition("version=")[2].partition("&")[0])
                self._unless_newer("PUT", changed, at, {"id": changed, "_order": order, "stray": -1})
            if at := self._version(removed):
                self._unless_newer("DELETE", removed, at)

    def _version(self, name: str) -> str:
        """As a condition on it; "": there is no document that readers see."""
        try:
            found = self._search.server.ask("GET", f"/{self._table}/_doc/{name}")
        except urllib.error.HTTPError:
            return ""
        if "_gone" in found["_source"]:
            return ""
        return f"version={found['_version']}&version_type=external_gte"

    def _unless_newer(self, method: str, name: str, at: str, body: Any = None) -> None:
        """A change of the record may have come in between, or gone before."""
        try:
            self._search.server.ask(method, f"/{self._table}/_doc/{name}?{at}", body)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):
                raise

    def left(self) -> int:
        names = (self._stand.direct, self._table, self._search.server.url, self._table)
        return len(list(differences(*names, left_out=("reindexVersion", "reindexRun"))))

    def set_faults(self, cell: Refresh) -> None:
        self._search.proxy.set_plan(SearchFaultPlan(faults=tuple(cell.writes)))

    def clear_faults(self) -> None:
        self._search.proxy.set_plan(SearchFaultPlan())

    def injected(self) -> dict[str, int]:
        return dict(self._search.proxy.truth().injected)

    @contextmanager
    def watched(self) -> Iterator[dict[str, bool]]:
        held: dict[str, bool] = {}
        yield held
        truth = self._search.proxy.truth(_LATE)
        back = [name for name in truth.indexes if truth.went_back(name)]
        held |= {
            "documents went back": not back,
            "documents could not be read on their way": not truth.unread,
            "the table was written to": not self._stand.proxy.truth().applied(self._table),
        }

    def written(self) -> int:
        return self._search.accepted(self._table)

    def drop(self) -> None:
        dropped(self._stand, self._table)
        self._search.server.ask("DELETE", f"/{self._table}-*")


def _if_there(call: Any, **request: Any) -> None:
    try:
        call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
