"""What a round needs around it: a source of records, and a destination that says what its answers mean.

The loop is the same for a table, an index, a replica or a queue. What a row needs and what became of it is
decided by the evidence that the destination keeps: in place, the stamp on the stored item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from typing_extensions import TypeVar

from reindexer.answers import Answers, Failure
from reindexer.items import Change, Cursor, WireItem, WireKey, Write
from reindexer.models import Fault, Isolated, Unconfirmed
from reindexer.page import Page
from reindexer.rounds.pending_write import PendingWrite
from reindexer.tally import Outcome
from reindexer.throttle import Budget


class Source(Protocol):
    """Where records come from."""

    def pages(self, cursor: Cursor | None, rows_read: int, budget: Budget) -> Iterator[Page]:
        """Pages after a cursor, which only the source itself reads. Raises `CallFailed`.

        `rows_read`: rows of this source before the cursor.
        """
        ...


#: As `Change`, of who only takes them.
Sent = TypeVar("Sent", default=Write, contravariant=True)


class Sink(Protocol[Sent]):
    """Where changes go: one honest attempt per call, nothing is retried."""

    max_changes: int  # per call
    max_bytes: int  # per call, as `size_of` counts them

    def size_of(self, write: Sent) -> int:
        """Bytes of a change that count towards `max_bytes`."""
        ...

    def attempt(self, writes: Sequence[tuple[WireKey, Sent]]) -> Answers:
        """An answer for each; fewer answers than changes: the rest was not tried. Raises `CallFailed`."""
        ...

    def healthy(self) -> bool:
        """Whether the service answers a harmless request: then what fails is a record's own."""
        ...


@dataclass(frozen=True, slots=True)
class Again:
    """The record's change is to be sent again; `tries` lengthens the wait before it."""

    tries: int


#: What a refused change means: the record has its outcome, leaves the round or is tried again; or it could not
#: be found out, because a call failed (`Failure`) or the environment is broken (`Fault`).
Verdict: TypeAlias = Outcome | Isolated | Again | Failure | Fault


#: A change that its condition refused, with what the answer said.
Refusal: TypeAlias = tuple[PendingWrite[Change], Failure]


class AnswerMeaning(Protocol[Change]):
    """What the answer to a change means."""

    attempts: Counter[str]  # the fields of `Attempts`; the loop counts its failures here, too

    @property
    def read_units(self) -> float:
        """Of what was read to find out."""
        ...

    def applied(self, work: PendingWrite[Change]) -> Outcome | Change:
        """The change is there. A change is one more that follows it."""
        ...

    def refused(self, refusals: Sequence[Refusal[Change]]) -> Iterator[tuple[PendingWrite[Change], Verdict]]:
        """What each refused change has come to. Found out one by one, as the loop takes them.

        With `Again` the work holds the change to be sent.
        """
        ...

    def isolated(self, work: PendingWrite[Change], *, given_up: bool) -> Isolated:
        """The record as it leaves the loop without an outcome."""
        ...


class Destination(Protocol[Change]):
    """Where a round's results go, and what its rows need."""

    @property
    def sink(self) -> Sink[Change]: ...

    @property
    def meaning(self) -> AnswerMeaning[Change]: ...

    max_batch: int  # records per call that the operation allows
    may_look_ahead: bool  # whether a row may be begun before it can be sent

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes of JSON that unconfirmed writes of earlier rounds take in a heartbeat."""
        ...

    def turn_to(self, page: Page) -> Page:
        """The next page is in hand; returns it without rows that this run has counted already."""
        ...

    def begin(
        self, position: int, key: WireKey, item: WireItem | None
    ) -> PendingWrite[Change] | Outcome | Isolated:
        """What a row needs: a change, or nothing more. `item` None: a consistent read found none.

        Raises `EnvironmentFault`, `Interrupted`.
        """
        ...

    def settled(self, key: WireKey, result: Outcome | Isolated) -> None:
        """The record has its outcome, or has left the round."""
        ...

    def unconfirmed(
        self,
        works: Iterable[PendingWrite[Change]],
        isolated: Iterable[tuple[WireKey, Isolated]],
        deleted: Iterable[WireKey],
        partition: str | None,
    ) -> list[Unconfirmed]:
        """What a successor has to know of writes that were not answered.

        `works`: those under way; `isolated` and `deleted`: records beyond the cursor; `partition`: of all.
        """
        ...

    def take_deleted(self) -> tuple[list[str | None], float]:
        """Records deleted by unconfirmed writes of earlier rounds: no source hands them out again.

        Returns (the partition of each, read units). Each is returned once. Raises `CallFailed`.
        """
        ...
