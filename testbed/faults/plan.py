"""Which faults to inject, when, and into what: the input of the fault proxy."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from testbed.faults.requests import PARTIQL, READS, key_text


class FaultKind(StrEnum):
    """What goes wrong. Names ending in `applied` and `late` leave a changed table behind an error."""

    # The whole call fails; the engine never sees it.
    SERVER_ERROR = "server_error"  # 500 InternalServerError
    UNAVAILABLE = "unavailable"  # 503
    CUT = "cut"  # the connection is closed without an answer
    TIMEOUT = "timeout"  # no answer for `seconds`, or until the client gives up
    THROTTLE = "throttle"  # 400 with ThrottlingReasons, by probability or by rate
    REFUSED = "refused"  # 400 with `code`
    ACCESS_DENIED = "access_denied"
    PARTIQL_DENIED = "partiql_denied"  # access denied, PartiQL only: UpdateItem goes through
    EXPIRED_TOKEN = "expired_token"
    TABLE_GONE = "table_gone"  # ResourceNotFoundException
    TOO_LARGE = "too_large"  # 413 for a body of more than `max_bytes`
    # The engine does it; the answer is lost or damaged.
    SERVER_ERROR_APPLIED = "server_error_applied"
    UNAVAILABLE_APPLIED = "unavailable_applied"
    CUT_APPLIED = "cut_applied"
    TIMEOUT_APPLIED = "timeout_applied"
    # boto3 takes all three for a success, the first two for an empty one, unless the checksum is checked.
    TRUNCATED = "truncated"  # the answer's body ends before its Content-Length
    BROKEN_JSON = "broken_json"  # the body is cut in the middle of the JSON, its length says so
    WRONG_CRC32 = "wrong_crc32"  # the right body under a wrong x-amz-crc32
    # The engine does it `seconds` after the failure was reported.
    SERVER_ERROR_LATE = "server_error_late"
    CUT_LATE = "cut_late"
    TIMEOUT_LATE = "timeout_late"
    # A statement of BatchExecuteStatement fails inside a 200; its neighbours go through.
    STATEMENT_THROTTLE = "statement_throttle"
    STATEMENT_ERROR = "statement_error"  # with `code`; the engine never sees the statement
    STATEMENT_ERROR_APPLIED = "statement_error_applied"  # with `code`; the engine does it
    # Some keys of BatchGetItem or items of BatchWriteItem come back as unprocessed.
    UNPROCESSED = "unprocessed"
    # Nothing fails.
    SLOW = "slow"  # the answer comes `seconds` later
    STRIP_ITEM = "strip_item"  # a failed condition comes without the item it was asked to return
    LAG = "lag"  # eventually consistent reads of `tables`, and all of indexes, miss the last `seconds`


K = FaultKind
DAMAGES = frozenset((K.TRUNCATED, K.BROKEN_JSON, K.WRONG_CRC32))
APPLIED = DAMAGES | {K.SERVER_ERROR_APPLIED, K.UNAVAILABLE_APPLIED, K.CUT_APPLIED, K.TIMEOUT_APPLIED}
LATE = frozenset((K.SERVER_ERROR_LATE, K.CUT_LATE, K.TIMEOUT_LATE))
THROTTLES = frozenset((K.THROTTLE, K.STATEMENT_THROTTLE))
ENTRIES = frozenset(
    (K.STATEMENT_THROTTLE, K.STATEMENT_ERROR, K.STATEMENT_ERROR_APPLIED, K.UNPROCESSED)
)  # these strike single entries of a call, the others the call
BESIDES = frozenset((K.SLOW, K.STRIP_ITEM, K.LAG))  # these can come on top of other faults
WHOLE = frozenset(FaultKind) - ENTRIES - BESIDES

#: The `code` a kind answers with, the default first. Anything else AWS never says there.
CODES: Mapping[FaultKind, tuple[str, ...]] = {
    K.THROTTLE: ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"),
    K.REFUSED: (
        *("ValidationException", "TransactionConflictException", "ItemCollectionSizeLimitExceededException"),
        *("LimitExceededException", "ReplicatedWriteConflictException", "UnrecognizedClientException"),
    ),
    K.STATEMENT_THROTTLE: ("ProvisionedThroughputExceeded", "ThrottlingError", "RequestLimitExceeded"),
    K.STATEMENT_ERROR: (
        *("InternalServerError", "TransactionConflict", "DuplicateItem", "ItemCollectionSizeLimitExceeded"),
        *("ValidationError", "AccessDenied", "ResourceNotFound"),
    ),
    K.STATEMENT_ERROR_APPLIED: ("InternalServerError",),
}
#: Seconds where a fault names none. A held request is let go after two minutes: longer than any client waits.
_SECONDS = {K.TIMEOUT: 120.0, K.TIMEOUT_APPLIED: 120.0} | dict.fromkeys((*LATE, K.SLOW, K.LAG), 1.0)
_MAY_READ = READS | PARTIQL
#: The environment's faults are not choosy: they meet DescribeTable as they meet writes.
_EVERYTHING = frozenset((K.ACCESS_DENIED, K.EXPIRED_TOKEN, K.TABLE_GONE))


def _wire_key(key: Any) -> Any:
    """`{"id": "a"}` and `{"n": 1}` as DynamoDB JSON; what is DynamoDB JSON already stays."""
    plain = {str: "S", int: "N"}
    if not isinstance(key, dict):
        return key
    return {
        name: {plain[type(value)]: str(value)} if type(value) in plain else value for name, value in key.items()
    }


Operations: TypeAlias = Literal["writes", "reads", "data", "all"]
Key: TypeAlias = Annotated[dict[str, dict[str, str]], BeforeValidator(_wire_key)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]


class Fault(BaseModel):
    """One fault and its scope. All parts of the scope must match.

    Whether it strikes is drawn from the seed, the keys of the call (of a read: its body) and how often the
    same call came before: the order of arrival does not matter. For `after`, `limit` and rates it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    probability: Fraction = 1.0
    #: Item writes, item reads, both ("data"), or everything; or names such as ["Scan"]. Default: "data", but
    #: "all" for access denied, expired token and table gone.
    operations: Operations | frozenset[str] | None = None
    #: Only calls that name one of these tables (the ledger lies on the same engine). None: any.
    tables: frozenset[str] | None = None
    #: Only these keys, of writes, GetItem and BatchGetItem, as DynamoDB JSON or as plain strings and integers:
    #: `{"id": "a"}`. A fault of whole calls strikes every call with one of them.
    keys: tuple[Key, ...] | None = None
    #: Only a range of partitions: from ≤ hash of the partition key < to, as fractions of all hashes.
    hot: tuple[Fraction, Fraction] | None = None
    after: Annotated[int, Field(ge=0)] = 0  # this many matching calls (or entries) go unharmed first
    limit: Annotated[int, Field(ge=0)] | None = None  # strikes at most so often
    seconds: Positive | None = None  # of a delay, a late write or a held request; default by kind
    code: str | None = None  # which error, where the kind has several: see `CODES`
    #: Throttles: everything above this rate fails. A written item is one unit; a read costs what the engine
    #: says it consumed, one unit if it says nothing. `burst`: units saved up while idle; default: a second's.
    units_per_second: Positive | None = None
    burst: Positive | None = None
    reason: str | None = None  # of a throttle; default: suits `code`, or KeyRange where the scope is keys
    max_bytes: Annotated[int, Field(gt=0)] | None = None  # too_large only, and needed there

    @model_validator(mode="after")
    def _fields_suit_the_kind(self) -> Fault:
        """A field that would be ignored is a mistake in the plan."""
        allowed = {
            "code": self.kind in CODES and (self.code is None or self.code in CODES[self.kind]),
            "seconds": self.kind in _SECONDS,
            "units_per_second": self.kind in THROTTLES,
            "burst": self.units_per_second is not None,
            "reason": self.kind is K.THROTTLE,  # statements have no room for it
            "max_bytes": self.kind is K.TOO_LARGE,
        }
        wrong = [name for name, fits in allowed.items() if getattr(self, name) is not None and not fits]
        if wrong:
            raise ValueError(f"{self.kind} has no use for {', '.join(wrong)} as given")
        if self.kind is K.TOO_LARGE and self.max_bytes is None:
            raise ValueError("too_large needs max_bytes")
        if self.kind is K.LAG and not self.tables:
            raise ValueError("lag needs tables: each gets a copy that lags behind")
        if self.hot is not None and self.hot[0] >= self.hot[1]:
            raise ValueError("hot must be (from, to) with from < to")
        return self

    @property
    def duration(self) -> float:
        """`seconds`, or the kind's default."""
        return self.seconds if self.seconds is not None else _SECONDS[self.kind]

    @property
    def error_code(self) -> str:
        """`code`, or the kind's default."""
        return self.code if self.code is not None else CODES[self.kind][0]

    @property
    def key_texts(self) -> frozenset[str] | None:
        """`keys` as canonical text."""
        return None if self.keys is None else frozenset(map(key_text, self.keys))

    def covers(self, operation: str, writes: bool) -> bool:
        """Whether the operation is in scope. `writes`: the call changes items; a PartiQL SELECT does not."""
        if self.kind is K.PARTIQL_DENIED and operation not in PARTIQL:
            return False
        scope = self.operations or ("all" if self.kind in _EVERYTHING else "data")
        if isinstance(scope, frozenset):
            return operation in scope
        is_read = not writes and operation in _MAY_READ
        return {"writes": writes, "reads": is_read, "data": writes or is_read, "all": True}[scope]


class FaultPlan(BaseModel):
    """All faults of a run. Of those that fail a whole call the first that strikes wins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    faults: tuple[Fault, ...] = ()
    #: The attribute whose value tells the truth which run wrote; None: runs are not kept apart.
    stamp: str | None = "reindexRun"

    @classmethod
    def mixed(cls, rate: float, seed: int = 1) -> FaultPlan:
        """`rate` of all reads and writes fail, half of those after they were applied; no time-outs.

        `rate` from 0 to 1. The shares below are of the failing calls and sum to 1.
        """
        shares = {
            K.SERVER_ERROR_APPLIED: 0.25,  # the case that makes naive counters wrong, so the most frequent
            K.CUT_APPLIED: 0.15,
            K.BROKEN_JSON: 0.05,
            K.TRUNCATED: 0.05,
            K.SERVER_ERROR: 0.15,
            K.UNAVAILABLE: 0.1,
            K.CUT: 0.1,
            K.THROTTLE: 0.15,
        }
        faults, left = [], 1.0
        for kind, share in shares.items():
            # Faults are tried in turn, so each one's chance is its share of the calls that got as far as it.
            probability = min(1.0, rate * share / left) if left > 0 else 0.0
            faults.append(Fault(kind=kind, probability=probability))
            left -= rate * share
        return cls(seed=seed, faults=tuple(faults))
