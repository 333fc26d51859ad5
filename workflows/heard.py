"""What came with a signal or an update, read by hand: the caller may have sent anything."""

from __future__ import annotations

from typing import Any


def limits_of(args: tuple[Any, ...]) -> tuple[dict[str, Any], str | None]:
    """(changed fields, reason) of a `set_limits`. Raises `ValueError` with one clear sentence."""
    if len(args) != 1 or not isinstance(args[0], dict) or not args[0]:
        raise ValueError(
            'set_limits takes one object with fields of limits, such as {"write_units_per_second": 500}'
        )
    change = dict(args[0])
    reason = change.pop("reason", None)
    if reason is not None and not isinstance(reason, str):
        raise ValueError("reason: should be a text")
    return change, reason


def reason_in(args: tuple[Any, ...]) -> str | None:
    """The reason in whatever came with a signal; what cannot be read is no reason to ignore the signal."""
    first = args[0] if args else None
    if isinstance(first, dict):
        first = first.get("reason")
    return str(first)[:500] if first is not None else None  # 500: a sentence or two, kept in the report


def code_in(args: tuple[Any, ...]) -> str | None:
    """The hash of a job's code that a `resume` accepts; what does not look like one is ignored."""
    code = args[0].get("code") if args and isinstance(args[0], dict) else None
    # 12 digits of SHA-256 tell two versions of a file apart; that many are shown.
    return code if isinstance(code, str) and 12 <= len(code) <= 64 else None
