"""The job's limits, from options."""

from __future__ import annotations

from typing import Any

from reindexer.errors import BadInput
from reindexer.models import RATE_TEXT

#: Rates, which may also be words, by the option that gives them.
_RATES = {
    "read_units_per_second": "--read-units",
    "write_units_per_second": "--write-units",
    "records_per_second": "--records-per-second",
}


def limits_given(**given: Any) -> dict[str, Any]:
    """The fields of `limits` that were given, as the job's input has them. Raises `BadInput`."""
    return {name: _rate(value, _RATES[name]) if name in _RATES else value for name, value in given.items()}


def _rate(text: str, option: str) -> float | str | None:
    """As the job's input has it: null where the plan chooses."""
    if text in ("unlimited", "chosen"):
        return text if text == "unlimited" else None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"should be {RATE_TEXT} (given: {text})", option) from None
