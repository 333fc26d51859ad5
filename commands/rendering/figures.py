"""The numbers of a job's `progress`, for people: how far, how fast, and how old the figures are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reindexer.words import count, duration, some

#: States in which records are being settled or verified; in others a rate is history.
_MOVING = ("running", "throttled", "verifying", "pausing")
#: Seconds for which figures need no age: a look at all shards takes no longer while a job is young.
_FRESH = 10.0


def _verifies(progress: Mapping[str, Any]) -> bool:
    """Whether what is done, what remains and how fast is the verification's."""
    phase = progress.get("phase", progress.get("state"))  # a verification may be throttled, or paused
    return bool(progress.get("verification")) and phase in ("verifying", "checking")


def scanned(progress: Mapping[str, Any]) -> int | None:
    """How many records the job has scanned, or its verification; None: not known."""
    counted = progress.get("verification") if _verifies(progress) else progress.get("tally")
    return int(counted["scanned"]) if counted else None


def expected(progress: Mapping[str, Any]) -> int | None:
    """How many records there will have been; None: not known. An estimate: item counts are hours old."""
    remaining = progress.get("remaining")
    if remaining is None:
        return None
    return max(1, (scanned(progress) or 0) + int(remaining))


def done_of(progress: Mapping[str, Any]) -> str:
    """`1,234 of about 5,678`, with `verified` behind it where it is the verification's; "" where not known."""
    reached, goal = scanned(progress), expected(progress)
    if reached is None:
        return ""
    verified = " verified" if _verifies(progress) else ""
    if not goal or not progress.get("remaining"):
        return some(reached, "record") + verified
    return f"{count(reached)} of about {count(goal)}{verified}"


def cycling(progress: Mapping[str, Any]) -> str:
    """That the job is paused for the seconds of a hand-over to its next run; "" where it is not."""
    return "handing over to its next run" if progress.get("cycling") else ""


def which_run(progress: Mapping[str, Any]) -> str:
    """Which run of its chain the job is in; "" for the first."""
    number = int(progress.get("cycle") or 0) + 1
    parts = [f"{number} of the job"] if number > 1 else []
    return ", ".join([*parts, *filter(None, [cycling(progress)])])


def age(progress: Mapping[str, Any]) -> str:
    """How old the figures are; "" if they are fresh."""
    taken = progress.get("as_of")
    if not taken:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(taken)).total_seconds()
    return f"figures are {duration(seconds)} old" if seconds > _FRESH else ""


def speed(progress: Mapping[str, Any]) -> float:
    """Records a second; 0.0 while nothing moves, and where it is not known."""
    return float(progress.get("records_per_second") or 0) if progress.get("state") in _MOVING else 0.0
