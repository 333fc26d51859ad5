"""Requests to OpenSearch: one honest attempt each, nothing is retried by the client."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import boto3
from opensearchpy import JSONSerializer, OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy.exceptions import OpenSearchException, SerializationError

from reindexer.answers import CallFailed
from reindexer.errors import EnvironmentFault
from reindexer.search.documents import GONE
from reindexer.search.taxonomy import of_call
from reindexer.settings import aws_region, settings

# It warns of every answer that is not 2xx; what those mean is decided, counted and shown here.
logging.getLogger("opensearch").setLevel(logging.ERROR)
#: Seconds for one request. Below the shortest heartbeat time-out of a busy round (10 s): nothing heartbeats
#: while a request is under way.
TIMEOUT_SECONDS = 8.0
#: The code of a fault: the secret is in the environment of another process.
NO_SECRET = "NoSearchSecret"
_BULK = {"content-type": "application/x-ndjson"}  # in small letters, or the client sends its own beside it
#: What of a bulk answer is read: a tenth of all of it.
_BULK_FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"


class Reached(Protocol):
    """What names a cluster, and how it is reached."""

    @property
    def search(self) -> str: ...
    @property
    def auth(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A document in an index: its order, and whether it is a tombstone."""

    order: int
    gone: bool


class SearchClient:
    """One cluster. Thread-safe."""

    def __init__(self, address: Reached, pool: int = 16) -> None:
        """`pool`: most requests in flight at once. Raises `EnvironmentFault` where its secret is not here."""
        self.url = address.search.rstrip("/")
        tls: dict[str, Any] = {}
        if self.url.startswith("https:"):
            tls = {"use_ssl": True, "verify_certs": True}
            if authority := settings().search_ca:
                tls["ca_certs"] = authority
        self._client = OpenSearch(
            hosts=[self.url],
            http_auth=_auth(address),
            headers=_api_key(address),
            connection_class=Urllib3HttpConnection,
            pool_maxsize=pool,
            timeout=TIMEOUT_SECONDS,
            max_retries=0,
            retry_on_timeout=False,
            retry_on_status=(),
            serializer=_Exact(),
            **tls,
        )

    def call(
        self, method: str, path: str, body: Any = None, *, documents: int = 1, **parameters: Any
    ) -> dict[str, Any]:
        """One request. Raises `CallFailed`."""
        headers = _BULK if isinstance(body, bytes) else None
        try:
            answer: dict[str, Any] = self._client.transport.perform_request(
                method, path, params=parameters or None, body=body, headers=headers
            )
        except OpenSearchException as error:
            raise CallFailed(of_call(error, documents)) from error
        return answer

    def bulk(self, body: bytes, documents: int) -> Sequence[Mapping[str, Any]]:
        """Write documents; an answer for each. Without its alias nothing is created. Raises `CallFailed`."""
        answer = self.call(
            "POST", "/_bulk", body, documents=documents, require_alias="true", filter_path=_BULK_FILTER
        )
        return [next(iter(item.values())) for item in answer.get("items", [])]

    def stored(self, index: str, ids: Sequence[str]) -> list[Stored | None]:
        """What is stored under each ID, in real time; None: there is no document. Raises `CallFailed`."""
        found = self._found(index, ids, GONE)
        return [Stored(int(doc["_version"]), GONE in doc.get("_source", {})) if doc else None for doc in found]

    def sources(self, index: str, ids: Sequence[str]) -> list[Mapping[str, Any] | None]:
        """The documents under these IDs, in real time, numbers with all their digits. Raises `CallFailed`."""
        return [doc and doc["_source"] for doc in self._found(index, ids, "true")]

    def _found(self, index: str, ids: Sequence[str], source: str) -> list[dict[str, Any] | None]:
        body = {"ids": list(ids)}
        answer = self.call("POST", f"/{index}/_mget", body, documents=len(ids), _source=source)
        return [doc if doc.get("found") else None for doc in answer["docs"]]


class _Exact(JSONSerializer):
    """Numbers keep their digits."""

    def loads(self, s: str) -> Any:
        try:
            return json.loads(s, parse_float=Decimal)
        except ValueError as error:
            raise SerializationError(s, error) from error


def _auth(address: Reached) -> Any:
    if address.auth == "aws":
        session = boto3.Session()
        credentials = session.get_credentials()
        if credentials is None:
            raise EnvironmentFault("NoCredentials", "no AWS credentials to sign requests to OpenSearch")
        return Urllib3AWSV4SignerAuth(credentials, address.region or aws_region() or session.region_name, "es")
    secret = _secret(address)
    return tuple(secret.split(":", 1)) if secret and ":" in secret else None


def _api_key(address: Reached) -> dict[str, str] | None:
    secret = _secret(address)
    return {"authorization": f"ApiKey {secret}"} if secret and ":" not in secret else None


def _secret(address: Reached) -> str | None:
    """From this process's environment. Raises `EnvironmentFault` naming the variable, never what it holds."""
    if not address.auth or not address.auth.startswith("env:"):
        return None
    name = address.auth.removeprefix("env:")
    if not (secret := os.environ.get(name)):
        raise EnvironmentFault(
            NO_SECRET, f"environment variable {name}, with user:password or an API key, is not set here"
        )
    return secret
