"""Which faults to inject into requests to OpenSearch, when, and into what: the input of the proxy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from testbed.faults.search.requests import READS, WRITES


class SearchFaultKind(StrEnum):
    """What goes wrong. Names ending in `applied` and `late` leave a changed index behind an error."""

    # The whole request fails; OpenSearch never sees it.
    THROTTLE = "throttle"  # 429
    UNAVAILABLE = "unavailable"  # 503
    SERVER_ERROR = "server_error"  # 500
    UNAUTHORIZED = "unauthorized"  # 401
    ACCESS_DENIED = "access_denied"  # 403
    CUT = "cut"  # the connection is closed without an answer
    TIMEOUT = "timeout"  # no answer for `seconds`, or until the client gives up
    TOO_LARGE = "too_large"  # 413 for a body of more than `max_bytes`
    # OpenSearch does it; the answer is lost.
    SERVER_ERROR_APPLIED = "server_error_applied"
    UNAVAILABLE_APPLIED = "unavailable_applied"
    CUT_APPLIED = "cut_applied"
    TIMEOUT_APPLIED = "timeout_applied"
    # OpenSearch does it `seconds` after the failure was reported; `timeout_late` after the request came in.
    SERVER_ERROR_LATE = "server_error_late"
    CUT_LATE = "cut_late"
    TIMEOUT_LATE = "timeout_late"
    # An item of a bulk fails inside a 200; its neighbours go through.
    ITEM_THROTTLE = "item_throttle"  # 429; OpenSearch never sees the item
    ITEM_UNAVAILABLE = "item_unavailable"  # 503
    ITEM_UNAVAILABLE_APPLIED = "item_unavailable_applied"  # 503; OpenSearch does it
    # Nothing fails.
    SLOW = "slow"  # the answer comes `seconds` later


K = SearchFaultKind
APPLIED = frozenset((K.SERVER_ERROR_APPLIED, K.UNAVAILABLE_APPLIED, K.CUT_APPLIED, K.TIMEOUT_APPLIED))
LATE = frozenset((K.SERVER_ERROR_LATE, K.CUT_LATE, K.TIMEOUT_LATE))
CUTS = frozenset((K.CUT, K.CUT_APPLIED, K.CUT_LATE))
HELD = frozenset((K.TIMEOUT, K.TIMEOUT_APPLIED, K.TIMEOUT_LATE))
ITEMS = frozenset((K.ITEM_THROTTLE, K.ITEM_UNAVAILABLE, K.ITEM_UNAVAILABLE_APPLIED))
WHOLE = frozenset(SearchFaultKind) - ITEMS - {K.SLOW}
#: Seconds where a fault names none. A held request is let go after two minutes: longer than any client waits.
_SECONDS = {K.TIMEOUT: 120.0, K.TIMEOUT_APPLIED: 120.0} | dict.fromkeys((*LATE, K.SLOW), 1.0)

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class SearchFault(BaseModel):
    """One fault and its scope. All parts of the scope must match.

    Whether it strikes is drawn from the seed, the documents of the request (of a read: all of it) and how often
    the same came before: the order of arrival does not matter. For `after` and `limit` it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: SearchFaultKind
    probability: Fraction = 1.0
    #: Writes of documents, reads (searches, counts, gets), "admin" (mappings, aliases and the rest), or
    #: all of them; or names such as ["count", "alias"], see `Request.operation`.
    operations: Literal["writes", "reads", "admin", "all"] | frozenset[str] = "writes"
    #: Only requests that name one of these indexes or aliases, as the request names them. None: any.
    indexes: frozenset[str] | None = None
    #: Only these document ids; a fault of whole requests strikes every write with one of them.
    ids: frozenset[str] | None = None
    after: Annotated[int, Field(ge=0)] = 0  # this many matching requests (or items) go unharmed first
    limit: Annotated[int, Field(ge=0)] | None = None  # strikes at most so often
    seconds: Annotated[float, Field(gt=0)] | None = None  # of a delay or a held request; default by kind
    max_bytes: Annotated[int, Field(gt=0)] | None = None  # too_large only, and needed there

    @model_validator(mode="after")
    def _fields_suit_the_kind(self) -> SearchFault:
        """A field that would be ignored is a mistake in the plan."""
        if self.seconds is not None and self.kind not in _SECONDS:
            raise ValueError(f"{self.kind} has no use for seconds")
        if (self.max_bytes is not None) is not (self.kind is K.TOO_LARGE):
            raise ValueError("too_large needs max_bytes, and nothing else has a use for it")
        return self

    @property
    def duration(self) -> float:
        """`seconds`, or the kind's default."""
        return self.seconds if self.seconds is not None else _SECONDS[self.kind]

    def covers(self, operation: str) -> bool:
        """Whether the operation is in scope."""
        if isinstance(self.operations, frozenset):
            return operation in self.operations
        of_operation = "writes" if operation in WRITES else "reads" if operation in READS else "admin"
        return self.operations in ("all", of_operation)


class SearchFaultPlan(BaseModel):
    """All faults of a run. Of those that fail a whole request the first that strikes wins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    faults: tuple[SearchFault, ...] = ()

    @classmethod
    def mixed(cls, rate: float, seed: int = 1) -> SearchFaultPlan:
        """`rate` of all writes fail, half of those after they were applied, and as many items; no time-outs.

        `rate` from 0 to 1. The shares below are of the failing requests and sum to 1.
        """
        shares = {
            K.SERVER_ERROR_APPLIED: 0.3,  # the case that makes naive counters wrong, so the most frequent
            K.CUT_APPLIED: 0.2,
            K.SERVER_ERROR: 0.1,
            K.UNAVAILABLE: 0.15,
            K.CUT: 0.1,
            K.THROTTLE: 0.15,
        }
        faults, left = [], 1.0
        for kind, share in shares.items():
            # Faults are tried in turn, so each one's chance is its share of the requests that got as far as it.
            probability = min(1.0, rate * share / left) if left > 0 else 0.0
            faults.append(SearchFault(kind=kind, probability=probability))
            left -= rate * share
        faults.append(SearchFault(kind=K.ITEM_THROTTLE, probability=rate / 2))
        faults.append(SearchFault(kind=K.ITEM_UNAVAILABLE_APPLIED, probability=rate / 2))
        return cls(seed=seed, faults=tuple(faults))
