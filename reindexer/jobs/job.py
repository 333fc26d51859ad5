"""A job: a query, a function and a name, in one file.

    jobs/trim.py                      the name is the file's
    \"\"\"What it is for.\"\"\"             its documentation
    class Trim(Params): …             its parameters, if it has any
    def query(params): …              which records; may be left out: every record
    def transform(item, params): …    what becomes of one; or
    def process(item, params): …      what is done for one; or
    def document(item, params): …     what a search index has of one

Besides, a file may say `lock = "attribute"` (guard by a counter), `seconds = 30` (time for one record),
`destructive = True` (it deletes in a way that its text does not show) and `task_queue = "name"` (it has workers
of its own).
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from reindexer.errors import BadInput, ReindexerError
from reindexer.explain import explain
from reindexer.items import RESERVED, Skip
from reindexer.jobs.changes import Change, Delete
from reindexer.jobs.conditions import Condition
from reindexer.settings import ROUNDS_SUFFIX

#: Seconds for one record unless the file says otherwise: pure functions take microseconds, calls out more.
_SECONDS_TRANSFORM, _SECONDS_PROCESS = 10.0, 60.0
#: The functions of which a job has one.
_WORK = ("transform", "process", "document")
#: Digits of a job's code that are shown: 12 of SHA-256 tell two versions of a file apart.
CODE_SHOWN = 12
_MAX_SECONDS = 600.0  # a record is not to occupy its shard for longer than ten minutes

Function: TypeAlias = Callable[[Mapping[str, Any], Any], Change]
Document: TypeAlias = Callable[[Mapping[str, Any], Any], "Mapping[str, Any] | Delete | Skip"]
Process: TypeAlias = Callable[[Mapping[str, Any], Any], object]


class Params(BaseModel):
    """Base of a job's parameters: typed, checked before anything is read, read-only, unknown names refused.

    Numbers are finite. Types are not strict, since `--param` gives text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JobBroken(ReindexerError):
    """A job file that cannot be used. The message begins with file and line. Ends a worker with exit code 2."""


@dataclass(frozen=True)
class Job:
    """A loaded job. Exactly one of `transform`, `process` and `document` is there."""

    name: str
    file: str
    documentation: str
    code: str  # SHA-256 of the file, hexadecimal
    params: type[Params]
    query: Callable[[Any], Condition | None]
    transform: Function | None
    process: Process | None
    lock: str | None  # an attribute compared and incremented, instead of comparing what was read
    seconds: float  # most time for one record
    destructive: bool  # it may delete records, or attributes
    document: Document | None = None

    @property
    def kind(self) -> str:
        """The name of its function."""
        return next(part for part in _WORK if getattr(self, part) is not None)

    task_queue: str | None = None  # of workers of its own; None: any worker runs it

    def parameters(self, given: Mapping[str, Any]) -> Params:
        """The parameters, checked. Raises `BadInput` naming what is wrong and what there is."""
        try:
            params = self.params.model_validate(given)
        except ValidationError as error:
            known = ", ".join(self.params.model_fields) or "none"
            raise BadInput(f"{explain(error)} (job {self.name!r} takes: {known})", "operation.params") from None
        for path, value in _taken_for_another_type(given, params.model_dump()):
            raise BadInput(f"{path}: {json.dumps(value)} is of another type", "operation.params")
        return params

    def condition(self, params: Params) -> Condition | None:
        """The query for these parameters. What the file's own code raises comes out as it is."""
        return self.query(params)


def _taken_for_another_type(given: Any, taken: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Booleans that were taken for numbers, and numbers for anything else: only text may be of another type."""
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        for name in given.keys() & taken.keys():
            yield from _taken_for_another_type(given[name], taken[name], f"{path}.{name}" if path else name)
    elif isinstance(given, list) and isinstance(taken, list | tuple):
        for index, (one, other) in enumerate(zip(given, taken, strict=False)):
            yield from _taken_for_another_type(one, other, f"{path}[{index}]")
    elif isinstance(given, bool):
        if not isinstance(taken, bool):
            yield path, given
    elif isinstance(given, int | float) and (
        isinstance(taken, bool) or not isinstance(taken, int | float | Decimal)
    ):
        yield path, given


def code_of(source: bytes) -> str:
    """What tells one version of a job file from another."""
    return hashlib.sha256(source).hexdigest()


def job_of(name: str, file: str, source: bytes, module: Any) -> Job:
    """The job a loaded module holds. Raises `JobBroken` where it holds none."""
    functions = {part: getattr(module, part, None) for part in ("query", *_WORK)}
    lines = _lines(source)
    for part, arguments in (("query", 1), *((part, 2) for part in _WORK)):
        if functions[part] is not None:
            _check_function(functions[part], part, arguments, f"{file}, line {lines.get(part, 1)}")
    there = [part for part in _WORK if functions[part] is not None]
    if len(there) != 1:
        have = f"{' and '.join(there)}, and has to choose one" if there else "none of them"
        raise JobBroken(
            f"{file}, line 1: a job defines transform(item, params), process(item, params) or "
            f"document(item, params); it has {have}"
        )
    seconds = getattr(module, "seconds", None)
    lock = _name(module, "lock", "an attribute's name", f"{file}, line {lines.get('lock', 1)}")
    if lock and lock.startswith(RESERVED):
        raise JobBroken(f"{file}, line {lines.get('lock', 1)}: names that begin with {RESERVED} are AWS's own")
    where = f"{file}, line {lines.get('task_queue', 1)}"
    task_queue = _name(module, "task_queue", "the name of a Temporal task queue", where)
    if task_queue and task_queue.endswith(ROUNDS_SUFFIX):  # rounds are sent to <task_queue>-rounds
        raise JobBroken(f"{where}: task_queue must not end in {ROUNDS_SUFFIX}, as the queues of rounds do")
    if seconds is None:
        seconds = _SECONDS_PROCESS if functions["process"] else _SECONDS_TRANSFORM
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _MAX_SECONDS:
        raise JobBroken(
            f"{file}, line {lines.get('seconds', 1)}: seconds must be above 0 and at most {_MAX_SECONDS:.0f}"
        )
    takes_away = bool(getattr(module, "destructive", False)) or _takes_away(source)
    return Job(
        name=name,
        file=file,
        documentation=(module.__doc__ or "").strip(),
        code=code_of(source),
        params=_params(module, file),
        query=functions["query"] or (lambda _: None),
        **{part: functions[part] for part in _WORK},
        lock=lock,
        seconds=float(seconds),
        destructive=takes_away and functions["document"] is None,  # which changes no record
        task_queue=task_queue,
    )


def _name(module: Any, field: str, meaning: str, where: str) -> str | None:
    """A name the file may give. Raises `JobBroken` where it is anything but a text that says something."""
    name = getattr(module, field, None)
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise JobBroken(f"{where}: {field} must be {meaning}")
    return name


def _params(module: Any, file: str) -> type[Params]:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Params) and value.__module__ == module.__name__
    ]
    if len(own) > 1:
        names = " and ".join(model.__name__ for model in own)
        raise JobBroken(f"{file}, line 1: one class of Params, please; it has {names}")
    return own[0] if own else Params


def _check_function(function: Any, name: str, arguments: int, where: str) -> None:
    code = getattr(function, "__code__", None)
    wanted = "(params)" if arguments == 1 else "(item, params)"
    if code is None or code.co_flags & 0x80:  # 0x80: an async function
        raise JobBroken(f"{where}: {name} must be a plain function {name}{wanted}")
    required = code.co_argcount - len(function.__defaults__ or ())
    if not required <= arguments <= code.co_argcount and not code.co_flags & 0x04:  # 0x04: it takes *args
        raise JobBroken(f"{where}: {name} takes {code.co_argcount} arguments; it must be {name}{wanted}")


def _lines(source: bytes) -> dict[str, int]:
    """Where the file's own top-level names are made."""
    lines: dict[str, int] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            lines[node.name] = node.lineno
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            lines |= {target.id: node.lineno for target in targets if isinstance(target, ast.Name)}
    return lines


def _takes_away(source: bytes) -> bool:
    """Whether the text names `Delete`, or passes `remove=`: what it takes to delete records or attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id == "Delete":
            return True
        if isinstance(node, ast.Attribute) and node.attr == "Delete":
            return True
        if isinstance(node, ast.alias) and node.name.endswith("Delete") and node.asname:  # under another name
            return True
        if isinstance(node, ast.keyword) and node.arg == "remove":
            return True
    return False
