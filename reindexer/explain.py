"""A wrong input in one clear sentence: which field, what was wrong with it, what would be right."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reindexer import models

_MAX_PROBLEMS = 3  # fields named; a longer sentence is not read
_MAX_SHOWN = 60  # characters of a wrong value that are repeated

#: pydantic's error type → what would be right; braces take from the error's context.
_RIGHT = {
    "greater_than_equal": "of at least {ge}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "of at most {le}",
    "less_than": "below {lt}",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "string_too_short": "a string of at least {min_length} characters",
    "string_too_long": "a string of at most {max_length} characters",
    "too_short": "a list of at least {min_length} entries",
    "too_long": "a list of at most {max_length} entries",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
    "finite_number": "a finite number",
}
#: The same by the beginning of the type: int_parsing, int_type, int_from_float …
_RIGHT_BY_KIND = {"int": "an integer", "float": "a number", "string": "a string", "bool": "true or false"}
#: Bounds belong to a number; pydantic names the bound alone.
_BOUNDS = ("greater_than_equal", "greater_than", "less_than_equal", "less_than")


def explain(error: ValidationError) -> str:
    """The sentence. Branches of a union are joined, since to the reader they are one field."""
    root = getattr(models, error.title, None)
    fields: dict[str, list[Mapping[str, Any]]] = {}
    for problem in error.errors(include_url=False):
        fields.setdefault(_path(problem["loc"], problem["type"]), []).append(problem)
    unknown = [path for path, problems in fields.items() if problems[0]["type"] == "extra_forbidden"]
    # What is misspelt is also missing: the misspelling says it better.
    sentences = {
        path: _sentence(problems, root)
        for path, problems in sorted(fields.items(), key=lambda entry: entry[0] not in unknown)
    }
    for path, problems in fields.items():
        if problems[0]["type"] == "missing" and any(
            f"mean {path.split('.')[-1]}?)" in s for s in sentences.values()
        ):
            del sentences[path]
    lines = [f"{path}: {sentence}" if path else sentence for path, sentence in sentences.items()]
    rest = len(lines) - _MAX_PROBLEMS
    return "; ".join(lines[:_MAX_PROBLEMS]) + (f"; and {rest} more" if rest > 0 else "")


def _path(loc: Sequence[int | str], kind: str) -> str:
    """`limits.quarantined`, `scope.keys[3].id`: without the names pydantic gives to branches of unions."""
    parts = list(loc)
    if len(parts) > 1 and parts[0] in ("operation", "scope"):
        del parts[1]  # the kind
    parts = [part for part in parts if not _is_class(part)]
    if _is_branch(parts):
        parts.pop()
    if kind.startswith("union_tag"):
        parts.append("kind")
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _is_class(part: int | str) -> bool:
    """Whether it is the name of one of several classes of a kind: no field is called so."""
    return isinstance(part, str) and isinstance(getattr(models, part, None), type)


def _is_branch(parts: Sequence[int | str]) -> bool:
    """Whether the last part is a branch's name. A union is below a field, so it is never the first."""
    last = parts[-1] if len(parts) > 1 else ""
    return isinstance(last, str) and (
        last in ("int", "float", "str", "bool") or last.startswith(("constrained-", "literal[", "strict-"))
    )


def _sentence(problems: Sequence[Mapping[str, Any]], root: Any) -> str:
    first = problems[0]
    kind = first["type"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        known = list(getattr(_model_at(root, first["loc"][:-1]), "model_fields", {}))
        return f"is not a known field{_near(str(first['loc'][-1]), known)}"
    if kind.startswith("union_tag"):
        return _kind_sentence(first, root)
    if kind == "value_error":
        return str(first["ctx"]["error"])
    right = list(dict.fromkeys(_right(problem) for problem in problems))
    return f"{_shown(first['input'])} is not valid; it must be {' or '.join(right)}"


def _kind_sentence(problem: Mapping[str, Any], root: Any) -> str:
    """An unknown or missing kind of operation or scope."""
    kinds = list(dict.fromkeys(map(kind_of, _alternatives(root, problem["loc"][0]))))
    listed = ", ".join(kinds[:-1]) + f" or {kinds[-1]}" if kinds else "given"
    if problem["type"] == "union_tag_not_found":
        return f"is missing; it must be {listed}"
    tag = str(problem["ctx"]["tag"])
    near = difflib.get_close_matches(tag, kinds, n=1)
    return f"{_shown(tag)} is unknown; it must be {listed}" + (f" (did you mean {near[0]}?)" if near else "")


def _right(problem: Mapping[str, Any]) -> str:
    kind = problem["type"]
    if kind == "literal_error":
        return str(problem["ctx"]["expected"]).replace("'", '"')
    if kind in _RIGHT:
        text = _RIGHT[kind].format(**problem.get("ctx", {}))
        return f"a number {text}" if kind in _BOUNDS else text
    by_kind = _RIGHT_BY_KIND.get(kind.split("_")[0])
    return by_kind or str(problem["msg"]).removeprefix("Input should be ")


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f" (did you mean {near[0]}?)"
    return f"; known are {', '.join(known)}" if known else ""


def _model_at(root: Any, loc: Sequence[int | str]) -> Any:
    """The model whose field was wrong; None where the way there is not one of models."""
    model = root
    parts = list(loc)
    while parts and model is not None:
        name = parts.pop(0)
        found = _alternatives(model, name)
        if len(found) > 1 and parts and not _is_class(parts[0]):
            kind = parts.pop(0)
            found = [candidate for candidate in found if kind_of(candidate) == kind]
        if len(found) > 1 and parts and _is_class(parts[0]):
            name = parts.pop(0)
            found = [candidate for candidate in found if candidate.__name__ == name]
        model = found[0] if found else None
    return model


def _alternatives(model: Any, name: int | str) -> list[type[BaseModel]]:
    """The models a field may hold."""
    field = getattr(model, "model_fields", {}).get(name)
    if field is None:
        return []
    types = alternatives(field.annotation)
    return [kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)]


def alternatives(annotation: Any) -> list[Any]:
    """The types of which a value may be one: those of a union, and of unions within it."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for branch in get_args(annotation) for kind in alternatives(branch)]
    return [annotation]


def kind_of(model: type[BaseModel]) -> str:
    """The kind by which an operation or a scope is distinguished from others."""
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _shown(value: Any) -> str:
    """The wrong value as JSON, shortened."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
