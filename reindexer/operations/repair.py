"""repair: compare, then make the other table equal, key by key, on condition that it is still what was read.

Its shards compare first. What differs is kept in the ledger, and written from there by rounds of its own.
"""

from __future__ import annotations

from reindexer.models import Verb
from reindexer.tally import Outcome

REPAIR = Verb(
    kind="repair",
    does="compare two tables, and make the other one equal",
    writes=True,
    runs_job=False,
    outcomes=[
        Outcome.CREATED, Outcome.REPLACED, Outcome.REMOVED, Outcome.CURRENT, Outcome.VANISHED,
        Outcome.QUARANTINED
    ],
    incomplete=[Outcome.QUARANTINED],
    stamps=False,
    compares=True,
    writes_other=True,
    words={
        Outcome.SUPERSEDED: "in the other table already, and not the same",
        Outcome.FILTERED: "past their time to live, or tombstones",
        Outcome.CURRENT: "equal by the time they were to be repaired",
        Outcome.VANISHED: "gone from both tables by then",
    },
)  # fmt: skip

#: Fills an empty table from a scan: nothing is compared first, nothing is replaced or removed.
BACKFILL = REPAIR.model_copy(
    update={
        "does": "fill an empty table with the records of another",
        "outcomes": [
            Outcome.CREATED, Outcome.CURRENT, Outcome.SUPERSEDED, Outcome.FILTERED, Outcome.VANISHED,
            Outcome.QUARANTINED
        ],
        "incomplete": [Outcome.QUARANTINED, Outcome.SUPERSEDED],
        "compares": False,
    }
)  # fmt: skip
#: Takes up what an earlier run gave up, key by key: what differs is known.
REDRIVEN = REPAIR.model_copy(update={"compares": False})
