"""One DynamoDB client per region and process, made and warmed before the first activity needs it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from reindexer.dynamo.client import make_client
from reindexer.dynamo.other_table import other_client
from reindexer.dynamo.table import TableClient
from reindexer.ledger import Ledger
from reindexer.models import CapacityInput, OtherTable, SearchIndex, Target
from reindexer.models.streams import StreamLookInput
from reindexer.search.client import SearchClient
from reindexer.streams.client import StreamCalls, make_streams_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Clients:
    """Thread-safe. `pool`: most calls in flight at once in this process; `ahead`: those not awaited at once."""

    def __init__(self, pool: int, ledger: Ledger, ahead: int = 1) -> None:
        self._pool, self._lock = pool, threading.Lock()
        self._ahead = ThreadPoolExecutor(ahead, "ahead")
        #: In the worker's own region.
        self.own = make_client(pool=pool)
        self._by_region = {self.own.meta.region_name: self.own}
        self._others: dict[tuple[str | None, ...], DynamoDBClient] = {}
        self._clusters: dict[tuple[str | None, ...], SearchClient] = {}
        self._streams: dict[str, Any] = {}
        self.ledger = ledger

    def raw(self, target: Target | CapacityInput | StreamLookInput) -> DynamoDBClient:
        """boto3's client in the table's own region, where the region decides which endpoint is called.

        A fixed endpoint is called in this worker's own region: what an engine writes into its ARNs (`ddblocal`)
        may be a region of its making, and one that signs for it sees other tables, or none.
        """
        region = target.table_arn.split(":")[3] or self.own.meta.region_name  # arn:aws:dynamodb:REGION:…
        with self._lock:
            client = self._by_region.get(region)
            if client is None:
                client = make_client(region=region, pool=self._pool)
                fixed = client.meta.endpoint_url == self.own.meta.endpoint_url
                client = self._by_region[region] = self.own if fixed else client
        return client

    def _other(self, other: OtherTable) -> DynamoDBClient:
        place = (other.region, other.endpoint, other.role_arn, other.external_id)
        with self._lock:
            client = self._others.get(place)
            if client is None:
                client = self._others[place] = other_client(other, self._pool)
        return client

    def search(self, index: SearchIndex) -> SearchClient:
        """The client of an index's cluster. Raises `EnvironmentFault` where its secret is not here."""
        place = (index.search, index.auth, index.region)
        with self._lock:
            client = self._clusters.get(place)
            if client is None:
                client = self._clusters[place] = SearchClient(index, self._pool)
        return client

    def stream(self, target: Target | StreamLookInput, arn: str) -> StreamCalls:
        """The calls on the table's stream. Raises `EnvironmentFault` where AWS's settings do not suffice."""
        region = self.raw(target).meta.region_name
        with self._lock:
            client = self._streams.get(region)
            if client is None:
                client = self._streams[region] = make_streams_client(region=region, pool=self._pool)
        return StreamCalls(client, arn, self._ahead)

    def table(self, target: Target | CapacityInput | OtherTable | StreamLookInput) -> TableClient:
        """The engine's client for the table. Raises `EnvironmentFault` where AWS's settings do not suffice."""
        client = self._other(target) if isinstance(target, OtherTable) else self.raw(target)
        return TableClient(client, target.table)
