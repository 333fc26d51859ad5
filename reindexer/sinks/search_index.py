"""Writes to a search index: bulk requests with the order of each document as its external version."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from reindexer.answers import Action, Answers, CallFailed, Failure
from reindexer.clocks import CLOCKS
from reindexer.items import Put, WireKey
from reindexer.models import Target
from reindexer.search.client import SearchClient, Stored
from reindexer.search.document_ids import id_of
from reindexer.search.documents import with_order
from reindexer.search.taxonomy import of_item, stored_order

#: Documents of one request: some tenths of a second of the cluster's time, well below what a pause may take.
_MAX_DOCUMENTS = 500
#: Bytes of one request. Clusters take 10 to 100 MB; a slow one has to answer within 8 s.
_MAX_BYTES = 5_000_000
#: Bytes around a document: its ID, its index, its order.
_ACTION_BYTES = 250
#: Lands above what is stored; or, of what is written again, at the stored order as well.
_VERSION_TYPE = {False: b"external", True: b"external_gte"}


class SearchSink:
    """The `Sink` of an index. After a request that was too much, the next ones carry half as many documents."""

    max_changes, max_bytes = _MAX_DOCUMENTS, _MAX_BYTES

    def __init__(self, client: SearchClient, target: Target) -> None:
        assert target.search is not None, "which index?"
        self._client, self._key, self._alias = client, target.key, target.search.write_alias
        self._most = _MAX_DOCUMENTS

    def size_of(self, write: Put) -> int:
        """Bytes of the document in a request."""
        return len(_text(write) or b"") + _ACTION_BYTES

    def attempt(self, writes: Sequence[tuple[WireKey, Put]]) -> Answers:
        """An answer for each; fewer answers than documents: the rest was not tried. Raises `CallFailed`."""
        some = writes[: self._most]
        body = self._body(some)
        try:
            results = self._client.bulk(body, len(some))
        except CallFailed as failed:
            if len(some) == 1 and failed.failure.action is Action.SPLIT:
                # Too large even alone: the document's own fault.
                return Answers([_given_up(failed.failure)], 0.0)
            if failed.failure.action in (Action.WAIT, Action.SPLIT) or failed.failure.counter == "timeouts":
                self._most = max(1, len(some) // 2)
            if failed.failure.action is Action.SPLIT:  # tried again in smaller requests: none is to blame
                return Answers([_again(failed.failure)] * len(some), 0.0)
            raise
        if len(results) != len(some):
            why = f"{len(results)} answers to {len(some)} documents"
            raise CallFailed(Failure("IncompleteAnswer", why, Action.RETRY, None, "server_errors"))
        self._most = min(_MAX_DOCUMENTS, self._most + max(1, self._most // 4))
        return Answers([of_item(result) for result in results], float(len(body)))

    def order_shown(self, failure: Failure) -> int | None:
        """The order that a refused document found in its place; None: the reason does not say it."""
        return stored_order(failure)

    def stored(self, keys: Sequence[WireKey]) -> list[Stored | None]:
        """What is under each key; None: no document. Raises `CallFailed`."""
        return self._client.stored(self._alias, [id_of(key, self._key) for key in keys])

    def healthy(self) -> bool:
        """Whether the index answers a read: then what fails is a record's own."""
        try:
            self._client.call("GET", f"/{self._alias}/_count")
        except CallFailed:
            return False
        return True

    def _body(self, writes: Sequence[tuple[WireKey, Put]]) -> bytes:
        # A tombstone is removed by its age: a clock that is slow makes none look old.
        now = CLOCKS.latest().strftime("%Y-%m-%dT%H:%M:%S.000Z")
        alias = orjson.dumps(self._alias)
        parts = []
        for key, put in writes:
            parts.append(
                b'{"index":{"_index":%s,"_id":%s,"version":%d,"version_type":"%s"}}\n'
                % (alias, orjson.dumps(id_of(key, self._key)), put.order, _VERSION_TYPE[put.again])
            )
            parts.append(with_order(_text(put), put.order, now))
            parts.append(b"\n")
        return b"".join(parts)


def _text(put: Put) -> bytes | None:
    assert put.body is None or isinstance(put.body, bytes), "a document is text"
    return put.body


def _given_up(failure: Failure) -> Failure:
    return Failure(failure.code, failure.message, Action.GIVE_UP, service=failure.service)


def _again(failure: Failure) -> Failure:
    """Of a request that was refused as a whole, where a smaller one may pass."""
    return Failure(failure.code, failure.message, Action.WAIT, False, "throttled", service=failure.service)
