"""touch: bump the version of every record, so that the table's stream fires again."""

from __future__ import annotations

from reindexer.items import EXPIRED, Skip, WireItem, Write
from reindexer.jobs.expiry import expired
from reindexer.models import Verb
from reindexer.operations.stamps_only import StampsOnly
from reindexer.tally import Outcome

TOUCH = Verb(
    kind="touch",
    does="bump the version of every record, so that the table's stream fires again",
    writes=True,
    runs_job=False,
    outcomes=[
        Outcome.UPDATED, Outcome.CURRENT, Outcome.SUPERSEDED, Outcome.VANISHED, Outcome.QUARANTINED
    ],
    incomplete=[Outcome.QUARANTINED],
    for_stream=True,
)  # fmt: skip
#: Nothing but the two attributes that every write carries.
_TOUCH = Write()


class TouchOperation(StampsOnly):
    """Every record that is below the target gets a write of version and run stamp, and nothing else."""

    def decide(self, item: WireItem) -> Write | Skip:
        """A touch, whatever the item holds, unless it is to be left alone as expired."""
        return EXPIRED if expired(self._expiry, item) else _TOUCH
