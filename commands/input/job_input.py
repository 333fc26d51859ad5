"""The job's input, from a file and options. The job's own defaults fill in the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from commands.input.files import read_json
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.models import JobInput


def job_input(given: Mapping[str, Any], file: Path | None, kind: type[JobInput] = JobInput) -> JobInput:
    """The file's input, overridden by what options gave. `kind`: or that of a follow.

    Raises `BadInput` naming the field.
    """
    merged = _merged(_file(file) if file else {}, given)
    if "table" not in merged:
        raise BadInput("is missing; for example `reindexer start cities`, or --input FILE", "TABLE")
    operation = merged.get("operation")
    if isinstance(operation, dict):
        operation.setdefault("kind", "touch")
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        raise BadInput(explain(error)) from None


def _file(file: Path) -> dict[str, Any]:
    content = read_json(file, "--input")
    if not isinstance(content, dict):
        raise BadInput(f'{file} should hold one object, such as {{"table": "cities"}}', "--input")
    return content


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`top` laid over `base`; objects of the same kind field by field, others as a whole."""
    merged = dict(base)
    for name, value in top.items():
        below = merged.get(name)
        if isinstance(value, dict) and isinstance(below, dict) and _same_kind(value, below):
            value = {**below, **value}
        merged[name] = value
    return merged


def _same_kind(top: Mapping[str, Any], below: Mapping[str, Any]) -> bool:
    return bool(top.get("kind", below.get("kind")) == below.get("kind"))
