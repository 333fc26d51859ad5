"""A time span as people write it on a command line."""

from __future__ import annotations

import re

from reindexer.errors import BadInput

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: Seconds of the longest: a year. Who wants longer resumes by hand.
_LONGEST = 365 * 86_400


def seconds_of(text: str, option: str) -> float:
    """90s, 30m, 2h, 1.5d. Raises `BadInput`."""
    found = _SPAN.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 1 <= seconds <= _LONGEST:
        raise BadInput(f"should be a time such as 90s, 30m, 2h or 1d, up to 365d (given: {text[:40]})", option)
    return seconds
