"""The numbers of a job, for people: how far, how fast, how old the figures are, and what failed."""

from __future__ import annotations

from datetime import UTC, datetime

from commands.rendering.screen import moment
from reindexer.models import MOVING, READING, Consumed, JobProgress, Verification
from reindexer.tally import Attempts, Tally
from reindexer.words import count, duration, some

#: States in which records are being settled or verified; in others a rate is history.
_MOVING = (*MOVING, "pausing")
#: Seconds for which figures need no age: a look at all shards takes no longer while a job is young.
_FRESH = 10.0
#: Hours above which what a stream still keeps is shown in whole hours.
_HOURS = 3


def _verifies(progress: JobProgress) -> bool:
    """Whether what is done, what remains and how fast is the verification's."""
    # A verification may be throttled, or paused: the phase says so, where it is known.
    return progress.verification is not None and (progress.phase or progress.state) in READING


def scanned(progress: JobProgress) -> int | None:
    """How many records the job has scanned, or its verification; None: not known."""
    if progress.comparison is not None:
        return progress.comparison.scanned
    counted: Tally | Verification | None = progress.verification if _verifies(progress) else progress.tally
    return counted.scanned if counted else None


def expected(progress: JobProgress) -> int | None:
    """How many records there will have been; None: not known. An estimate: item counts are hours old."""
    if progress.remaining is None:
        return None
    return max(1, (scanned(progress) or 0) + progress.remaining)


def done_of(progress: JobProgress) -> str:
    """`1,234 of about 5,678`, with `verified` behind it where it is the verification's; "" where not known."""
    reached, goal = scanned(progress), expected(progress)
    if reached is None:
        return ""
    verified = " verified" if _verifies(progress) else ""
    if not goal or not progress.remaining:
        return some(reached, "record") + verified
    return f"{count(reached)} of about {count(goal)}{verified}"


def behind_text(progress: JobProgress) -> str:
    """How far a follow is behind its stream, and how long that still has what is unread; "" of others."""
    if progress.lag_seconds is None:
        return ""
    behind = "nothing behind" if not progress.lag_seconds else f"{duration(progress.lag_seconds)} behind"
    left = progress.hours_left
    if left is None:
        return behind
    # In whole hours, which change once an hour on a stream at rest; near the end every minute counts.
    kept = f"{int(left)} h" if left >= _HOURS else duration(left * 3600)
    return f"{behind}, unread changes are kept for {kept}"


def stopping_text(progress: JobProgress) -> str:
    """That a follow ends by itself, and when; "" where it was not asked to."""
    if not progress.stops_at or progress.state == "done":
        return ""
    return f"ends once all changes until {moment(progress.stops_at)} are carried"


def cycling(progress: JobProgress) -> str:
    """That the job is paused for the seconds of a hand-over to its next run; "" where it is not."""
    return "handing over to its next run" if progress.cycling else ""


def which_run(progress: JobProgress) -> str:
    """Which run of its chain the job is in; "" for the first."""
    number = progress.cycle + 1
    parts = [f"{number} of the job"] if number > 1 else []
    return ", ".join([*parts, *filter(None, [cycling(progress)])])


def age(progress: JobProgress) -> str:
    """How old the figures are; "" if they are fresh."""
    if not progress.as_of:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(progress.as_of)).total_seconds()
    return f"figures are {duration(seconds)} old" if seconds > _FRESH else ""


def speed(progress: JobProgress) -> float:
    """Records a second; 0.0 while nothing moves, and where it is not known."""
    return progress.records_per_second or 0.0 if progress.state in _MOVING else 0.0


def consumed(progress: JobProgress) -> Consumed:
    """Units a second; none while nothing moves, and where they are not known."""
    return progress.consumed if progress.state in _MOVING else Consumed()


def attempts_text(attempts: Attempts) -> str:
    """The failed attempts by kind, in words: one for each record of a call."""
    met = attempts.words
    return f"by record: {met}" if met else "every call succeeded at the first attempt"


def ambiguous_text(number: int) -> str:
    """What `ambiguous` means."""
    if number == 1:
        return "1 answer was an error although the write had been applied; it was settled, not counted twice"
    return (
        f"{count(number)} answers were errors although the write had been applied; "
        "each was settled, none counted twice"
    )
