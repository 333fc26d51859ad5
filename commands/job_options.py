"""Options of a job with a query and a function: its name and its parameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

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
        return {"kind": kind, "version": version}
    if kind not in (None, "transform"):
        raise BadInput(f"goes with --operation transform, not {kind}", "--job")
    return {"kind": "transform", "job": job, "version": version, "params": _params(params or ())}


def _params(given: Sequence[str]) -> dict[str, Any]:
    """Text as it stands, which the job's own types read; lists and objects as JSON."""
    params: dict[str, Any] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise BadInput(f"should be NAME=VALUE (given: {entry})", "--param")
        params[name] = value
        if value.startswith(("[", "{")):
            try:
                params[name] = json.loads(value)
            except json.JSONDecodeError as error:
                raise BadInput(f"{name}: not JSON: {error.msg}", "--param") from None
    return params
