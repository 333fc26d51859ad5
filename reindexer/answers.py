"""What a call of a service answered, in the terms of the delivery loop. A service maps its errors to these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reindexer.errors import ReindexerError
from reindexer.items import WireItem


class Action(StrEnum):
    """What the delivery loop does about a failed attempt."""

    SETTLE = "settle"  # refused by its condition: the destination says what that means
    WAIT = "wait"  # capacity or contention: back off; not a failure of the record
    RETRY = "retry"  # try again; counts against the record
    SPLIT = "split"  # the call as a whole was refused: no record is at fault until it was tried alone
    GIVE_UP = "give up"  # this record can never succeed as it is
    LEAVE = "leave"  # this machine is at fault: hand back at once, another worker may do it
    PARK = "park"  # the environment is broken: stop the job, keep everything


class Scope(StrEnum):
    """How far a throttle reaches."""

    KEY_RANGE = "key range"  # a hot partition: slows its shard only
    TABLE = "table"
    ACCOUNT = "account"
    INDEX = "index"  # back-pressure of a global secondary index


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt that did not succeed.

    `applied` is False (certainly not written) or None (unknown). There is no True: that is a success.
    `counter` names the field of `Attempts` it counts under. `reached` is False where the request
    never left this machine or the answer shows the service is not there: no record is at fault.
    `known` is False where nothing says that the error is about a record: it never becomes a record's failure,
    and where it lasts the job parks and names it. `denied`: the caller is known, and may not do this.
    `service`: who answered so, or did not.
    """

    code: str
    message: str
    action: Action
    applied: bool | None = False
    counter: str | None = None
    scope: Scope | None = None
    item: WireItem | None = None  # what is stored, where a refusal shows it
    reached: bool = True
    known: bool = True
    denied: bool = False
    service: str = "DynamoDB"

    @property
    def silent(self) -> bool:
        """Whether there was no answer: another call would take as long, and end as this one did."""
        return self.counter == "timeouts" or not self.reached


class CallFailed(ReindexerError):
    """A whole call failed; `failure` says what that means."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure


@dataclass(slots=True)
class Answers:
    """One entry per change, None where it was applied, and the write units the call consumed."""

    failures: list[Failure | None]
    consumed: float | None  # None: the service reported nothing

    @property
    def costly(self) -> int:
        """How many of them consumed capacity: what was applied, and what was refused by its condition.

        An attempt that was throttled, failed or never arrived is charged nothing.
        """
        return sum(failure is None or failure.action is Action.SETTLE for failure in self.failures)
