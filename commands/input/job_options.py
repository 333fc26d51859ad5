"""Options of a job with a query and a function: its name and its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from commands.input.files import NotJson, parse_json
from reindexer.errors import BadInput

JobName = Annotated[
    str | None,
    typer.Option("--job", metavar="NAME", help="Run this job's query and function: `reindexer jobs`."),
]
JobParams = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the job. Can be repeated."),
]
Code = Annotated[
    str | None,
    typer.Option("--code", metavar="HASH", help="Go on with this code of the job, where it has changed."),
]


def operation_given(
    kind: str | None, version: str | None, job: str | None, params: Sequence[str] | None
) -> dict[str, Any]:
    """The operation that the options mean. Raises `BadInput` where they do not go together."""
    if job is None:
        if kind == "transform":
            raise BadInput("needs --job NAME; `reindexer jobs` lists them", "--operation transform")
        if params:
            raise BadInput("needs --job NAME", "--param")
        return {"kind": kind, "version": _version(version)}
    if kind not in (None, "transform"):
        raise BadInput(f"goes with --operation transform, not {kind}", "--job")
    return {"kind": "transform", "job": job, "version": _version(version), "params": _params(params or ())}


def _version(text: str | None) -> int | str | None:
    """An option's text as the input wants it; in a file a number has to be one."""
    if text is None or text == "next":
        return text
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"should be a whole number, or next (given: {text})", "--version") from None


def _params(given: Sequence[str]) -> dict[str, Any]:
    """Text as it is, which the job's own types read; lists and objects as JSON."""
    params: dict[str, Any] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise BadInput(f"should be NAME=VALUE (given: {entry})", "--param")
        params[name] = value
        if value.startswith(("[", "{")):
            try:
                params[name] = parse_json(value)
            except NotJson as error:
                raise BadInput(f"{name}: {error}", "--param") from None
    return params
