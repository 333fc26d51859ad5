"""prepare_replica and note_scanned: what the ledger has of a replica before its first write, after its scan."""

from __future__ import annotations

from temporalio import activity

from activities.clients import Clients
from activities.failures import translated
from reindexer.ledger import Ledger
from reindexer.models import Lineages, ReplicaInput
from reindexer.models.streams import LineageCursor, LineageState
from reindexer.planning.create_replica import expire


class ReplicaActivities:
    """Each may be repeated."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn
    def prepare_replica(self, request: ReplicaInput) -> None:
        """Take the epoch, and note where its follow begins. What is another job's is refused.

        A replica that the job was to create gets its time to live here, where the job has its lock.
        """
        with translated():
            if request.expires:
                expire(self._clients.table(request.expires))
            ledger, place = self._clients.ledger, (request.destination, request.epoch)
            begin_epoch(ledger, place, request.run, request.positions, request.source)
            ledger.positions.drop_before(*place)
            if request.again_by:  # what was given up before is taken up by the new scan
                ledger.failures.drop_before(request.again_by, request.run, request.epoch)

    @activity.defn
    def note_scanned(self, request: ReplicaInput) -> None:
        """The scan came to its end: from then on changes alone keep the replica complete."""
        with translated():
            self._clients.ledger.positions.scanned(request.destination, request.epoch)


def begin_epoch(
    ledger: Ledger, place: tuple[str, int], run: str, positions: list[Lineages], source: str = ""
) -> None:
    """Take the epoch of a destination, and note where its lineages begin, before anything is read.

    Raises `Refused`.
    """
    ledger.epochs.take(*place, run, source)
    for number, lineages in enumerate(positions):
        ledger.positions.keep(*place, number, lineages, LineageCursor(reading=lineages.reading))
    if positions:
        passed = [shard for lineages in positions for shard in lineages.passed]
        ledger.positions.opened(*place, LineageState(opened_at=positions[0].opened_at, passed=passed))
