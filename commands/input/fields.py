"""Options made from the fields of the job's input, each of which says its own (`reindexer.models.Option`)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from commands.input.operation import operation_given
from commands.input.scope import scope_given
from reindexer.errors import BadInput
from reindexer.explain import alternatives, kind_of
from reindexer.models import RATE_TEXT, JobInput, Option

#: The part of a job's input that options gave, as JSON has it; nothing else is in it.
Given: TypeAlias = dict[str, Any]
#: What options of a part mean together, and how their text is read.
_READ: Mapping[str, Callable[..., Any]] = {"operation": operation_given, "scope": scope_given}


class Fields:
    """`Annotated[Given, Fields("limits")]` is a verb's parameter that the options of these fields replace.

    A name such as `limits` means all fields below it, but for those `without` which the verb goes: it refuses
    them. `words` are the help of options that say something else of this verb, by their paths.
    """

    def __init__(
        self, *names: str, without: Collection[str] = (), words: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.names, self.without, self.words = names, without, words


def with_fields(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb as typer wants it: with the options of fields in place of such a parameter."""
    parameters: list[inspect.Parameter] = []
    groups: dict[str, list[str]] = {}
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        _, *metadata = get_args(parameter.annotation) or (None,)
        if metadata and isinstance(metadata[0], Fields):
            fields = metadata[0]
            paths = groups[parameter.name] = _chosen(fields)
            parameters += [_parameter(path, fields) for path in paths]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    if not groups:
        return verb

    @functools.wraps(verb)
    def command(**values: Any) -> None:
        given = {name: _given({path: values.pop(_name(path)) for path in groups[name]}) for name in groups}
        verb(**values, **given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def options(model: type[BaseModel] = JobInput, above: str = "") -> dict[str, tuple[Option, FieldInfo]]:
    """Every option with its field, by the field's path; of an operation or scope that is `operation.kind`.

    Of a field that several kinds have, the first one's.
    """
    found: dict[str, tuple[Option, FieldInfo]] = {}
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute  # as the input has it
        path = f"{above}{name}" + (".kind" if field.discriminator else "")
        found |= {
            path + end: (option, field) for end, option in zip(("", "_from"), _marked(field), strict=False)
        }
        for kind in _members(field):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found = {**found, **options(kind, f"{above}{name}."), **found}  # what was found first stays
    return found


def _members(field: FieldInfo) -> list[Any]:
    """The types of which a field may hold one."""
    return alternatives(field.annotation)


def _marked(field: FieldInfo) -> list[Option]:
    return [entry for entry in field.metadata if isinstance(entry, Option)]


_OPTIONS = options()


def option_of(path: str, words: str | None = None) -> Any:
    """What typer has to know of a field's option, besides its type. `words`: its help, if not its own."""
    option, _ = _OPTIONS[path]
    text = words or option.help
    if not option.flag.startswith("-"):
        return typer.Argument(metavar=option.flag, help=text)
    flags = [flag for flag in (option.flag, option.alias) if flag]
    return typer.Option(*flags, metavar=option.metavar, help=text)


def _chosen(fields: Fields) -> list[str]:
    """The paths that a verb's names stand for, in the order of the names, each once."""
    found = [path for name in fields.names for path in _OPTIONS if path == name or path.startswith(f"{name}.")]
    return [path for path in dict.fromkeys(found) if path not in fields.without]


def _name(path: str) -> str:
    return path.replace(".", "__")


def _parameter(path: str, fields: Fields) -> inspect.Parameter:
    kind = _type(*_OPTIONS[path], _kinds_without(path, fields.without))
    return inspect.Parameter(
        _name(path),
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, option_of(path, fields.words.get(path))],
        default=False if kind is bool else None,
    )


def _kinds_without(path: str, without: Collection[str]) -> list[Any]:
    """Kinds of an operation or a scope that a verb goes without: all their options are left out."""
    _, field = _OPTIONS[path]
    kinds = _members(field) if field.discriminator and without else []
    paths = [(kind, set(options(kind, f"{path.removesuffix('kind')}"))) for kind in kinds]
    return [kind for kind, own in paths if own and own <= set(without)]


def _type(option: Option, field: FieldInfo, refused: Collection[Any] = ()) -> Any:
    """What the parser makes of the option's value; text where a field takes a number or a word.

    `refused`: kinds that are not to be offered.
    """
    kinds = [kind for kind in _members(field) if kind is not type(None) and kind not in refused]
    if field.discriminator:
        return Literal[tuple(kind_of(kind) for kind in kinds if _can_be_given(kind))] | None
    if option.metavar == "FILE":
        return Path | None
    if get_origin(kinds[0]) in (list, dict):
        return list[str] | None
    if kinds[0] is bool:
        return bool
    return kinds[0] | None if kinds in ([int], [float]) or get_origin(kinds[0]) is Literal else str | None


def _can_be_given(model: type[BaseModel]) -> bool:
    """Whether options give all that a kind needs; quarantined records are for `redrive`."""
    needed = [field for name, field in model.model_fields.items() if field.is_required() and name != "kind"]
    return all(_marked(field) for field in needed)


def _given(values: Mapping[str, Any]) -> Given:
    """What was given out of all values by path. Raises `BadInput` where options do not go together."""
    given: Given = {}
    for path, value in values.items():
        if value is None or value is False or value == []:
            continue
        option, field = _OPTIONS[path]
        part, _, name = path.partition(".")
        if value is True:  # a switch turns its field to the other side
            value = not field.default
        elif option.metavar == "RATE":
            value = read_rate(value, option.flag)
        if name:
            given.setdefault(part, {})[name] = value
        else:
            given[part] = value
    return {name: _READ[name](**value) if name in _READ else value for name, value in given.items()}


def read_rate(text: str, flag: str) -> float | str | None:
    """A rate as the job's input has it: null where the plan chooses. Raises `BadInput`."""
    if text in ("unlimited", "chosen"):
        return text if text == "unlimited" else None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"should be {RATE_TEXT} (given: {text})", flag) from None
