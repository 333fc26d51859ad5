"""Every error of the engine, one base, at the bottom of the import graph.

A class says what went wrong, its fields hold the facts, and whether trying again can help sits on the class.
Outcomes of records are returned, not raised: see `tally.Outcome`.
"""

from __future__ import annotations


class ReindexerError(Exception):
    """Base of all errors that a person may read. Its text is one clear sentence."""

    #: Whether the same call may succeed later without anybody changing anything.
    retryable = False


class BadInput(ReindexerError):
    """Something the caller wrote is wrong. Nothing was read or changed. Exit code 2.

    `field` is the path of the wrong field (`limits.quarantined`), or "" for the input as a whole.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class Refused(ReindexerError):
    """The job may not start as things are: permission, lock, a version that would go backwards."""

    def __init__(self, message: str, kind: str = "Refused") -> None:
        super().__init__(message)
        self.kind = kind


class RecordFailed(ReindexerError):
    """What the job's code said of one record cannot be done. `code`: the class it is quarantined under."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class TimeLimit(RecordFailed):
    """A job's function took longer for a record than it may. Beside other records that may be their fault."""

    def __init__(self, seconds: float) -> None:
        super().__init__("TimeLimit", f"the function took longer than {seconds:g} s for one record")


class Interrupted(ReindexerError):
    """Asked to stop while a job's function ran. Nothing is known of its record, and nothing was done."""


class EnvironmentFault(ReindexerError):
    """What surrounds the records is broken: access denied, table gone or replaced, credentials expired.

    In mid-job it parks the job; it is never the fault of a record and never counted as one.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Unavailable(EnvironmentFault):
    """A service did not answer, or had no capacity, for as long as a call may be tried: later it may."""

    retryable = True


#: Bytes of an error's class and of its message as they travel: a job's own code may raise anything. 300 fit a
#: UI summary and a ledger row.
MAX_CLASS_BYTES, MAX_MESSAGE_BYTES = 100, 300


def named_failure(error: Exception) -> tuple[str, str]:
    """(class, message) under which a record is given up for what its job's code raised."""
    if isinstance(error, RecordFailed):
        return cut(error.code, MAX_CLASS_BYTES), cut(error.message)
    return cut(type(error).__name__, MAX_CLASS_BYTES), one_line(error)


def one_line(error: BaseException, limit: int = MAX_MESSAGE_BYTES) -> str:
    """The error as one line of at most `limit` bytes of UTF-8."""
    return cut(" ".join(str(error).split()) or type(error).__name__, limit)


def cut(text: str, limit: int = MAX_MESSAGE_BYTES) -> str:
    """The text in at most `limit` bytes of UTF-8. What cannot be printed is replaced: JSON would escape it."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    encoded = text.encode(errors="replace")  # a lone surrogate of a job's own text has no UTF-8
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode(errors="ignore") + "…"  # which takes 3 bytes
