"""look_at_stream: what the lineages of a follow cannot see of their stream."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from reindexer.models.streams import StreamLook, StreamLookInput
from reindexer.streams.whole_graph import look_at_stream


class StreamLookActivities:
    """Two calls of control planes and a few of the ledger, every five minutes."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn(name="look_at_stream")
    def look(self, request: StreamLookInput) -> StreamLook:
        """May be repeated: what is to be adopted is found again until it is read."""
        with translated():
            calls = self._clients.stream(request, request.stream_arn)
            positions = self._clients.ledger.positions
            return look_at_stream(request, self._clients.table(request), calls, positions)
