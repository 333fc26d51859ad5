"""The job's scope, from options: a sample, keys or partitions, by name or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands.input.files import json_option, read_entries
from reindexer.errors import BadInput
from reindexer.models import SortKey


def scope_given(
    kind: str | None = None,
    limit: int | None = None,
    keys: Path | None = None,
    values: Sequence[str] | None = None,
    values_from: Path | None = None,
    sort_key: str | None = None,
    index: str | None = None,
) -> dict[str, Any] | None:
    """The scope that the options mean together. Raises `BadInput` where they disagree."""
    named = values or values_from
    options = (("sample", limit), ("keys", keys), ("partitions", named or None))
    meant = {name for name, option in options if option is not None}
    if kind is not None:
        meant.add(kind)
    if len(meant) > 1:
        raise BadInput(f"one scope at a time (given: {', '.join(sorted(meant))})", "--scope")
    the_kind = meant.pop() if meant else None
    for option, given in (("--sort-key", sort_key), ("--index", index)):
        if given is not None and not named:
            raise BadInput("needs --partition VALUE or --partitions-from FILE", option)
    if the_kind is None:
        return None
    if the_kind == "partitions":
        return _partitions(values or (), values_from, sort_key, index)
    if the_kind == "keys":
        if keys is None:
            raise BadInput("needs --keys FILE", "--scope keys")
        return _keys(keys)
    if the_kind == "sample":
        return {"kind": "sample", **({} if limit is None else {"limit": limit})}
    return {"kind": the_kind}


def _partitions(
    values: Sequence[str], file: Path | None, sort_key: str | None, index: str | None
) -> dict[str, Any]:
    named = [*values, *(read_entries(file, "--partitions-from", "values", "one a line") if file else [])]
    if not named:
        raise BadInput("needs --partition VALUE or --partitions-from FILE", "--scope partitions")
    condition = None if sort_key is None else _sort_key(sort_key)
    more = {"sort_key": condition, "index": index}
    given = {name: value for name, value in more.items() if value is not None}
    return {"kind": "partitions", "values": named, **given}


def _sort_key(text: str) -> Any:
    """`begins_with=2024-`, or the whole condition as JSON; lists as JSON."""
    known = ", ".join(SortKey.model_fields)
    if text.startswith("{"):
        condition = json_option(text, "--sort-key")
        if not any(value is not None for value in condition.values()):  # it must not pass for no condition
            raise BadInput(f"must be exactly one of {known} (given: {text})", "--sort-key")
        return condition
    operator, equals, value = text.partition("=")
    if not equals or operator not in SortKey.model_fields:
        raise BadInput(f"should be OP=VALUE with OP one of {known} (given: {text})", "--sort-key")
    return {operator: json_option(value, "--sort-key") if operator == "between" else value}


def _keys(path: Path) -> dict[str, Any]:
    """The keys of a file; where its lines are no JSON objects, values of keys that have one attribute."""
    keys = read_entries(path, "--keys", "keys", 'one JSON object a line, such as {"id": "a"}')
    objects = [isinstance(key, dict) for key in keys]
    return {"kind": "keys", "keys": keys} if any(objects) else {"kind": "keys", "values": keys}
