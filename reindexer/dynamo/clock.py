"""A clock that is wrong: how AWS refuses the signatures of such a machine, unlike a late request.

botocore corrects a skew only where it retries by itself, which it must not do here. A machine whose clock is
minutes off is to be set right; another one does its work meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from socket import gethostname
from typing import Any

from botocore.exceptions import ClientError

from reindexer.models import CLOCK_WRONG

__all__ = ["CLOCK_WRONG", "found_wrong", "refused_for_its_time", "wrong_clock"]

#: Codes of refusals for a request's time, and of refusals of a signature, whose reason may be the time.
_TIME = frozenset(("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"))
_SIGNATURE = frozenset(
    ("InvalidSignatureException", "InvalidSignature", "SignatureDoesNotMatch", "AuthFailure")
)
_WORDS = ("signature expired", "signature not yet current")
#: Seconds that a clock may be off. AWS takes signatures of 5 minutes before and after its own time.
_MAX_SKEW = 240.0

_found: list[str] = []


def found_wrong() -> str:
    """What any answer to this process last showed of its clock, and forget it; "": nothing."""
    found, _found[:] = _found[-1:], []
    return found[0] if found else ""


def wrong_clock(error: ClientError, now: Callable[[], float] = time.time) -> str:
    """A sentence on this machine's clock where it is what the request was refused for, else ""."""
    if error.response.get("Error", {}).get("Code") not in _TIME | _SIGNATURE:
        return ""
    ahead = _ahead(error.response, now())
    if ahead is None:
        if not refused_for_its_time(error):
            return ""
        sentence = f"the clock of {gethostname()} is wrong, by what AWS says of the request's time"
    elif abs(ahead) <= _MAX_SKEW:
        return ""
    else:
        side = "ahead of" if ahead > 0 else "behind"
        sentence = f"the clock of {gethostname()} is {abs(ahead) / 60:.0f} minutes {side} AWS's"
    _found.append(sentence)
    return sentence


def refused_for_its_time(error: ClientError) -> bool:
    """Whether the answer says so. By a clock that is right: it was signed long before it was sent."""
    said = error.response.get("Error", {})  # botocore makes none of a body that is not STS's
    words = str(said.get("Message", "")).lower()
    return said.get("Code") in _TIME or (said.get("Code") in _SIGNATURE and any(w in words for w in _WORDS))


def _ahead(response: Mapping[str, Any], now: float) -> float | None:
    """Seconds that this clock is ahead of the one that answered; None where the answer has no date."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    date = next((value for name, value in headers.items() if name.lower() == "date"), None)
    try:
        return None if date is None else now - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
