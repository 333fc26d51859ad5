"""unstamp: remove version and run attribute from every record that carries them.

In place, the stamp is the evidence of what a run has done, and this verb removes it: the record itself cannot
tell whether this run removed its stamp or whether it never had one. So the outcomes are defined by what was
read, not by who wrote:

- `updated`: it carried either attribute when this run read it, and neither when it was settled;
- `current`: it carried neither when this run read it.

What was read has to outlive the attempt that read it, for a crash may lose an attempt whose writes stay. So
before the first stamp of a page is removed, the ledger keeps a digest of each record of the page that carries
one (`sinks.seen`): 8 bytes a record, one item a page. Whoever comes after a lost attempt, or after one that
settled records beyond its cursor, finds such a record without its stamp, finds it among the digests, and counts
it as `updated`. This costs one write for each record, and in the ledger less than two hundredths of a write
unit, for keeping and for dropping its digest. The alternatives cost more or hold less: a mark in the table,
removed once it is counted, is a second write for each record, and a second event in the stream; keys in a
heartbeat are lost where the heartbeat is.

Reads are consistent ones, since `current` is concluded from a read alone. A write removes only the values that
were read: its condition names both. A record that was stamped meanwhile, or whose stamp another writer put
back, is refused, read again, and decided again.

Not promised: where another writer removes the stamp of a record while the job runs, the record is `updated` or
`current`, depending on whether this run had read it before; it has one outcome either way. And where others add
more than 9,000 records to a part of a shard between two of its rounds, records there may be `current` that were
`updated` (`sinks.seen.DRIFT_ROWS`, less a page).
"""

from __future__ import annotations

from reindexer.items import EXPIRED, Skip, WireItem, Write
from reindexer.jobs.expiry import expired
from reindexer.models import Verb
from reindexer.operations.stamps_only import StampsOnly
from reindexer.tally import Outcome

UNSTAMP = Verb(
    kind="unstamp",
    does="remove the version and run attributes that jobs leave in the records",
    writes=True,
    runs_job=False,
    outcomes=[Outcome.UPDATED, Outcome.CURRENT, Outcome.VANISHED, Outcome.QUARANTINED],
    incomplete=[Outcome.QUARANTINED],
    stamps=False,
    words={
        Outcome.UPDATED: "carried either attribute, and carries neither now",
        Outcome.CURRENT: "carried neither attribute when this run read it",
        Outcome.VANISHED: "gone before this run had removed them",
    },
)


class UnstampOperation(StampsOnly):
    """Every record that carries either attribute loses both, whatever their types and whoever wrote them.

    Delete marks of other runs are among them: the record stays, and a deletion that still arrives is refused.
    """

    def decide(self, item: WireItem) -> Write | Skip:
        """The removal of what the item carries, unless it is to be left alone as expired.

        Asked only about items that carry either attribute: a write needs a value to be guarded by.
        """
        if expired(self._expiry, item):
            return EXPIRED
        guards = {name: item.get(name) for name in self._own}
        return Write(removes=tuple(name for name in self._own if name in item), guards=guards, bare=True)
