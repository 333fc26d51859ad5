"""collect_older: what a rescan has to read again, since its scan has not written it."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from reindexer.items import Key, from_json_key, to_json_key
from reindexer.models import Behind, OlderInput
from reindexer.search.asking import answering
from reindexer.search.client import SearchClient
from reindexer.search.document_ids import id_of
from reindexer.search.older_epochs import older
from reindexer.search.tombstones import remove_exactly
from reindexer.streams.order import floor_of

#: Documents removed by one request.
_TOGETHER = 500


class OlderActivities:
    """May be repeated: it lists what is there now."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn
    def collect_older(self, request: OlderInput) -> Behind:
        """Key lists of documents of an older epoch, without records that this run has given up.

        A document whose ID is a hash and that does not have its key is removed at exactly its order: the scan
        has read every record, and would have written it.
        """
        with translated():
            client = self._clients.search(request.index)
            with answering(client):
                return self._collect(request, client)

    def _collect(self, request: OlderInput, client: SearchClient) -> Behind:
        ledger, job, run = self._clients.ledger, request.job, request.run
        given_up = {id_of(from_json_key(entry.key), request.key) for entry in ledger.failures.open(job, run)}
        keys: list[Key] = []
        nameless: list[tuple[str, int]] = []
        for one in older(client, request.index.index, floor_of(request.epoch), request.key):
            if one.id in given_up:
                continue
            if one.key is not None:
                keys.append(to_json_key(one.key))
            else:
                nameless.append((one.id, one.order))
            if len(keys) + len(nameless) >= request.most:
                break
        for first in range(0, len(nameless), _TOGETHER):
            remove_exactly(client, request.index.write_alias, nameless[first : first + _TOGETHER])
        return Behind(kept=len(keys), lists=ledger.kept.keep_lists(job, run, keys))
