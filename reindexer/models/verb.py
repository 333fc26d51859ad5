"""What a verb says of itself."""

from __future__ import annotations

import operator

from pydantic import Field

from reindexer.models.model import Model
from reindexer.tally import Outcome


class Verb(Model):
    """The declaration of a verb. A job's plan carries it, and whoever steers, shows or checks a job asks it."""

    kind: str  # as in `operation.kind`
    does: str  # to a table, for people
    #: It changes records: it takes the lock, writes within limits, and is verified afterwards.
    writes: bool
    #: A job file decides: its query leaves records out, its code must not change.
    runs_job: bool
    #: What may become of a record, besides `filtered` where the scope or `skip_expired` leaves it alone.
    outcomes: list[Outcome]
    #: Outcomes of which none may be there in a complete job.
    incomplete: list[Outcome]
    #: It is for what reads the table's stream: a table without one gets a warning.
    for_stream: bool = False
    #: What it changes carries version and run attribute afterwards; else it carries neither.
    stamps: bool = True
    #: It reads a second table beside the first, and says how they differ; by no version.
    compares: bool = False
    #: What it writes goes to that second table, which is the one that is locked.
    writes_other: bool = False
    #: What it writes goes to a search index, which is locked instead of the table.
    writes_index: bool = Field(default=False, exclude_if=operator.not_)
    #: It keeps that second table as a replica, record by record.
    copies: bool = Field(default=False, exclude_if=operator.not_)
    #: It writes again what a destination holds, beside the one that gives its records their order: it takes the
    #: repairing role of the lock, makes no index and moves no alias, and compares no replica.
    rewrites: bool = Field(default=False, exclude_if=operator.not_)
    #: What an outcome means where its general words do not fit.
    words: dict[Outcome, str] = {}

    @property
    def in_place(self) -> bool:
        """Whether what it writes goes to the table itself."""
        return self.writes and not self.writes_other and not self.writes_index

    @property
    def ordered(self) -> bool:
        """Whether each write has an order: a scan and the table's stream may feed its destination together."""
        return self.writes_index or self.copies

    @property
    def followed(self) -> bool:
        """Whether the changes of the table's stream can be carried to its destination."""
        return self.ordered and not self.rewrites

    @property
    def makes_index(self) -> bool:
        """Whether the index that it writes to is its own: created, checked and given to readers."""
        return self.writes_index and not self.rewrites

    @property
    def removes_stamps(self) -> bool:
        """Whether its own writes leave nothing in a record that would tell of them."""
        return self.in_place and not self.stamps

    @property
    def tried_out(self) -> bool:
        """Whether a dry run has something to show: a touch changes nothing but two attributes."""
        return not self.rewrites and (self.runs_job or (self.writes and not self.stamps))

    @property
    def deletes(self) -> bool:
        """Whether it may remove records."""
        return Outcome.DELETED in self.outcomes
