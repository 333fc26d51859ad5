"""What came with a signal or an update, read by hand: the caller may have sent anything."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from reindexer.explain import explain
    from reindexer.models import Resume


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


def wrong_with_resume(args: tuple[Any, ...]) -> str:
    """Why what came with a `resume` cannot be followed, one sentence; "" where it can. A text is a reason."""
    if len(args) > 1:
        return f"at most one object comes with a resume ({len(args)} came)"
    if not args or args[0] is None or isinstance(args[0], str):
        return ""
    try:
        Resume.model_validate(args[0])
    except ValidationError as error:
        return explain(error)
    return ""


def rescan_in(args: tuple[Any, ...]) -> bool:
    """Whether a `resume` comes with another scan."""
    return bool(args and isinstance(args[0], dict) and args[0].get("rescan") is True)


def code_in(args: tuple[Any, ...]) -> str | None:
    """The hash of a job's code that a `resume` accepts."""
    code = args[0].get("code") if args and isinstance(args[0], dict) else None
    # What was not looked at before (see `wrong_with_resume`) is in the histories of older jobs alone.
    return code if isinstance(code, str) and 12 <= len(code) <= 64 else None
