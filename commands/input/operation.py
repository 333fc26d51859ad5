"""The job's operation, from options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from commands.input.files import NotJson, parse_json, read_json
from reindexer.errors import BadInput

#: What only a table has that is written to.
_OF_A_REPLICA = {"to.table", "to.endpoint", "to.role_arn", "to.external_id"}


def operation_given(
    kind: str | None = None,
    version: str | None = None,
    job: str | None = None,
    params: Sequence[str] | None = None,
    leave_out: Sequence[str] | None = None,
    backfill: bool | None = None,
    lag_seconds: float | None = None,
    **other: Any,
) -> dict[str, Any]:
    """The operation that the options mean. Raises `BadInput` where they do not go together.

    `other`: fields of one verb alone, such as `with.region`, by their paths below the operation.
    """
    if _OF_A_REPLICA & other.keys():
        if "to.search" in other:
            raise BadInput("cannot be combined with OTHER: name a search index or a replica", "--to")
        if job or params:
            raise BadInput(
                "makes documents: a replica holds records as they are", "--job" if job else "--param"
            )
        to = {path.removeprefix("to."): value for path, value in other.items() if path.startswith("to.")}
        flags = {path: value for path, value in other.items() if not path.startswith("to.")}
        return {"kind": "replicate", "to": to, **flags}
    if any(path.startswith("to.") for path in other):
        return _index(job, params, other)
    if other:
        if "with.search" not in other and (job is not None or params):
            raise BadInput("needs --search: a job makes documents", "--job" if job else "--param")
        second = {path.removeprefix("with."): value for path, value in other.items()}
        given: dict[str, Any] = {"leave_out": list(leave_out)} if leave_out else {}
        given |= {} if lag_seconds is None else {"lag_seconds": lag_seconds}
        given |= {"backfill": backfill} if backfill else {}
        given |= {} if job is None else {"job": job}
        given |= {"params": _params(params)} if params else {}
        return {"kind": "repair" if backfill else "compare", "with": second, **given}
    if backfill:
        raise BadInput("fills a second table: name it", "--backfill")
    given = {} if version is None else {"version": _version(version)}
    if job is None:
        if kind == "transform":
            raise BadInput("needs --job NAME; `reindexer jobs` lists them", "--operation transform")
        if params:
            raise BadInput("needs --job NAME", "--param")
        return given if kind is None else {"kind": kind, **given}
    if kind not in (None, "transform"):
        raise BadInput(f"needs --operation transform, not {kind}", "--job")
    if params:
        given["params"] = _params(params)
    return {"kind": "transform", "job": job, **given}


def _index(job: str | None, params: Sequence[str] | None, other: Mapping[str, Any]) -> dict[str, Any]:
    if params and job is None:
        raise BadInput("needs --job NAME", "--param")
    given = {path: value for path, value in other.items() if not path.startswith("to.")}
    files = {name: given.pop(name) for name in ("mapping", "settings") if name in given}
    for name, file in files.items():
        given[name] = content = read_json(file, f"--{name}")
        if not isinstance(content, dict):
            raise BadInput(f"{file} should hold one object", f"--{name}")
    to = {path.removeprefix("to."): value for path, value in other.items() if path.startswith("to.")}
    given |= {} if job is None else {"job": job}
    given |= {"params": _params(params)} if params else {}
    return {"kind": "index", "to": to, **given}


def _version(text: str) -> int | str:
    """The option's text as the input has it."""
    if text == "next":
        return text
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"should be a whole number, or next (given: {text})", "--version") from None


def _params(given: Sequence[str]) -> dict[str, Any]:
    """Parameters by name: text, which the job's own types read; lists and objects from JSON."""
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
