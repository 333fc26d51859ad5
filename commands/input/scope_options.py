"""Options that say which records: a sample, keys or partitions, by name or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.input.files import read_entries
from commands.input.options import json_option
from reindexer.errors import BadInput
from reindexer.models import SortKey

Sample = Annotated[int | None, typer.Option(metavar="N", help="Only N records, for a first try.")]
KeysFrom = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        "--keys-from",
        metavar="FILE",
        help="Only these: a JSON list, or a line each: a JSON object, or the value of a key that has one "
        "attribute; - is stdin.",
    ),
]
PartitionValues = Annotated[
    list[str] | None,
    typer.Option(
        "--partition", metavar="VALUE", help="Only records with this partition key value. Can be repeated."
    ),
]
PartitionsFrom = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The same from a file: a value a line, or a JSON list; - is stdin."),
]
SortKeyGiven = Annotated[
    str | None,
    typer.Option(
        "--sort-key",
        metavar="OP=VALUE",
        help="Of these only what meets it, such as begins_with=2024- or between=[3,9]; or as JSON.",
    ),
]
IndexName = Annotated[
    str | None, typer.Option("--index", metavar="NAME", help="The index whose partitions these are.")
]


def scope_given(
    kind: str | None,
    sample: int | None,
    keys: Path | None,
    values: Sequence[str] | None = None,
    values_from: Path | None = None,
    sort_key: str | None = None,
    index: str | None = None,
) -> dict[str, Any] | None:
    """The scope that the options mean together. Raises `BadInput` where they disagree."""
    named = values or values_from
    options = (("sample", sample), ("keys", keys), ("partitions", named or None))
    meant = {name for name, option in options if option is not None}
    if kind is not None:
        meant.add(kind)
    if len(meant) > 1:
        raise BadInput(f"one scope at a time (given: {', '.join(sorted(meant))})", "--scope")
    the_kind = meant.pop() if meant else None
    for option, given in (("--sort-key", sort_key), ("--index", index)):
        if given is not None and not named:
            raise BadInput("goes with --partition VALUE or --partitions-from FILE", option)
    if the_kind is None:
        return None
    if the_kind == "partitions":
        return _partitions(values or (), values_from, sort_key, index)
    if the_kind == "keys":
        if keys is None:
            raise BadInput("needs --keys FILE", "--scope keys")
        return _keys(keys)
    if the_kind == "sample":
        return {"kind": "sample", **({} if sample is None else {"limit": sample})}
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
            raise BadInput(f"has to hold exactly one of {known} (given: {text})", "--sort-key")
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
