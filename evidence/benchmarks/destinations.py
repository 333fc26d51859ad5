"""Where a measured follow carries its changes to: a search index, or a table."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from evidence.benchmarks.tables import KEY, make_table
from reindexer.dynamo.client import make_client
from testbed.search import SearchServer

PROBE = "probe"  # the attribute that is looked for
_MAX_KEYS = 100  # DynamoDB's most for BatchGetItem
_TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
_NUMBER = {"type": "double"}
#: As a mapping is made from the cities.
MAPPING: dict[str, Any] = {
    "date_detection": False,
    "properties": {
        **dict.fromkeys((KEY, "name", "countrycode", "timezone", "admin1code", "alternatenames"), _TEXT),
        **dict.fromkeys(("geonameid", "latitude", "longitude", "population"), _NUMBER),
        PROBE: {"type": "keyword"},
    },
}


def probed(number: int) -> str:
    """The key of a record that is written to be looked for."""
    return f"probe-{number}"


class Destination(Protocol):
    """`name`: the job's, too. `pid`: of its own server, if it has one. `operation`: of the job's input."""

    name: str
    pid: int | None

    @property
    def operation(self) -> dict[str, Any]: ...

    def found(self, probes: Mapping[str, int]) -> set[str]:
        """Which of them a reader finds. The values: the numbers of their records."""
        ...

    def remove(self) -> None:
        """Leave nothing."""
        ...


class SearchIndex:
    """An alias of its own, and the indexes behind it."""

    pid: int | None

    def __init__(self, search: SearchServer) -> None:
        self.search, self.pid = search, search.pid
        self.name = f"follow-{uuid.uuid4().hex[:8]}"

    @property
    def operation(self) -> dict[str, Any]:
        return {"kind": "index", "to": {"search": self.search.url, "alias": self.name}, "mapping": MAPPING}

    def found(self, probes: Mapping[str, int]) -> set[str]:
        query = {"query": {"terms": {PROBE: list(probes)}}, "_source": [PROBE], "size": len(probes)}
        hits = self.search.ask("POST", f"/{self.name}/_search", query)["hits"]["hits"]
        return {hit["_source"][PROBE] for hit in hits}

    def remove(self) -> None:
        self.search.ask("DELETE", f"/{self.name}-*")

    def written(self) -> int:
        """Documents that it has taken so far, by its own count."""
        [stats] = self.search.ask("GET", f"/{self.name}-*/_stats/indexing")["indices"].values()
        return int(stats["primaries"]["indexing"]["index_total"])


class ReplicaTable:
    """A table of the same engine, made here."""

    pid: int | None = None

    def __init__(self) -> None:
        self.name = f"follow-{uuid.uuid4().hex[:8]}"
        self._client: Any = make_client(lean=False)
        make_table(self.name, 0, 1)

    @property
    def operation(self) -> dict[str, Any]:
        return {"kind": "replicate", "to": {"table": self.name}}

    def found(self, probes: Mapping[str, int]) -> set[str]:
        keys = [{KEY: {"S": probed(number)}} for number in list(probes.values())[:_MAX_KEYS]]
        asked = {self.name: {"Keys": keys, "ConsistentRead": True}}
        items = self._client.batch_get_item(RequestItems=asked)["Responses"][self.name]
        return {item[PROBE]["S"] for item in items} & set(probes)

    def remove(self) -> None:
        self._client.delete_table(TableName=self.name)
