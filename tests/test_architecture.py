"""The house's rules: which room may import which, how long a file may be, and what no module may be called."""

from __future__ import annotations

import ast
import functools
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import starter
from reindexer.models.operations import AskedOperation

ROOT = Path(__file__).parent.parent
#: Import direction: a room may import itself and what is named here.
MAY_IMPORT = {
    "reindexer": set(),
    "jobs": {"reindexer"},
    "activities": {"reindexer", "jobs"},
    "workflows": {"reindexer", "activities"},
    "eviction": set(),
    "supervisor": set(),
    "worker": {"eviction", "supervisor", "workflows", "activities", "reindexer", "jobs"},
    "testbed": {"worker", "workflows", "activities", "reindexer", "jobs"},
    "commands": {"testbed", "worker", "workflows", "activities", "reindexer", "jobs"},
    "starter": {"commands", "testbed", "worker", "workflows", "activities", "reindexer", "jobs"},
    "evidence": {"commands", "testbed", "supervisor", "worker", "workflows", "activities", "reindexer", "jobs"},
}
ROOMS = set(MAY_IMPORT)
#: What workflows may take from the engine: types that travel, and pure functions over them.
PURE = {"models", "tally", "items", "explain", "errors", "plan_rows", "words"}
_ABOVE = {"planning", "checks", "table_rounds"}
#: Inside the engine: rooms and files, and what they may not import. A round knows no service and no operation.
MAY_NOT_IMPORT = {
    "rounds": {"dynamo", "sinks", "sources", "streams", "operations", "jobs", "ledger", *_ABOVE},
    "dynamo": {"rounds", "sinks", "sources", "streams", "operations", "jobs", "page", *_ABOVE},
    "operations": {"rounds", "sinks", "sources", *_ABOVE},
    "sources": {"sinks", "operations", *_ABOVE},
    "sinks": {"sources", *_ABOVE},
    "streams": {"rounds", "sinks", "sources", "operations", "jobs", "ledger", "page", *_ABOVE},
    "answers": {"dynamo", "rounds", "sinks", "sources", "models"},
    "page": {"dynamo", "rounds", "sinks", "sources", "models"},
}
LONGEST = 300  # lines; a file that needs more has two subjects
NAMELESS = {"utils", "common", "shared", "base", "helpers"}


def _files() -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    found += [ROOT / f"{room}.py" for room in ROOMS if (ROOT / f"{room}.py").exists()]
    return sorted(found)


FILES = _files()


def _room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _inside(path: Path) -> str:
    """The room or file of the engine."""
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


@functools.cache  # each file is parsed once, not once for each rule
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def _imports(path: Path) -> list[tuple[ast.stmt, str]]:
    """Every import with the full name of the module it takes something from."""
    return list(_found_imports(path))


def _found_imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports say the whole path"
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


def _imported(*rooms: str) -> list[tuple[Path, str]]:
    """(file, module) for every import in these rooms, or in all of them."""
    return [
        (path.relative_to(ROOT), module)
        for path in FILES
        if not rooms or _room(path) in rooms
        for _, module in _imports(path)
    ]


def test_imports_flow_one_way() -> None:
    forbidden = {room: ROOMS - {room} - may for room, may in MAY_IMPORT.items()}
    assert [
        (path, module) for path, module in _imported() if module.split(".")[0] in forbidden[_room(ROOT / path)]
    ] == []


def test_rooms_of_the_engine_import_one_way() -> None:
    inside = [(path, module) for path, module in _imported("reindexer") if module.startswith("reindexer.")]
    assert [
        (path, module)
        for path, module in inside
        if module.split(".")[1] in MAY_NOT_IMPORT.get(_inside(ROOT / path), set())
    ] == []


def test_no_room_of_the_engine_needs_one_that_needs_it() -> None:
    needs: dict[str, set[str]] = {}
    for path, module in _imported("reindexer"):
        room, other = _inside(ROOT / path), module.split(".")[1] if module.startswith("reindexer.") else ""
        if other and room not in (other, "__init__"):
            needs.setdefault(room, set()).add(other)
    TopologicalSorter(needs).prepare()  # raises `CycleError`, which names the circle


def test_rules_of_rooms_name_rooms_that_exist() -> None:
    named = {*MAY_NOT_IMPORT, *(other for others in MAY_NOT_IMPORT.values() for other in others)}
    assert named <= {_inside(path) for path in FILES if _room(path) == "reindexer"}


def test_no_file_of_a_room_imports_in_a_circle() -> None:
    """Not for types either: two files that need each other are one, or a third is missing between them."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    needs = {
        name: {
            found
            for _, module in _imports(path)
            for found in (module, module.rpartition(".")[0])
            if found in names and found != name
        }
        for name, path in names.items()
    }
    TopologicalSorter(needs).prepare()  # raises `CycleError`, which names the circle


def test_the_engine_knows_nothing_of_temporal() -> None:
    assert [
        (path, module)
        for path, module in _imported("reindexer", "jobs")
        if module.startswith("temporalio") and path.name != "connect.py"
    ] == []


def test_workflows_do_no_io_and_draw_no_lots() -> None:
    io = ("boto3", "botocore", "time", "random", "socket")
    assert [(path, module) for path, module in _imported("workflows") if module.split(".")[0] in io] == []


def _passed_through(path: Path) -> list[ast.With]:
    return [
        node
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.With) and "imports_passed_through" in ast.unparse(node.items[0].context_expr)
    ]


def test_workflows_take_types_and_activities_inside_one_passed_through_block() -> None:
    for path in (path for path in FILES if _room(path) == "workflows"):
        blocks = _passed_through(path)
        assert len(blocks) <= 1, path
        inside = {id(node) for block in blocks for node in ast.walk(block)}
        for node, module in _imports(path):
            if module.split(".")[0] == "reindexer":
                assert module.split(".")[1] in PURE, f"{path} takes {module}"
            if module.split(".")[0] in ("reindexer", "activities"):
                assert id(node) in inside, f"{path}: {module} is outside of the block"


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


def _switches(tree: ast.Module, kinds: set[str]) -> Iterator[str]:
    """Where code asks which of these classes something is of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            asked: ast.AST = node.args[1]
        elif isinstance(node, ast.MatchClass):
            asked = node.cls
        else:
            continue
        if kinds & {name.id for name in ast.walk(asked) if isinstance(name, ast.Name)}:
            yield ast.unparse(node)


def test_only_the_registry_asks_of_which_class_an_operation_is() -> None:
    """A verb declares what it is: `Verb`, `Planner`, `DestinationPlanner`, and properties of the operation."""
    kinds = {kind.__name__ for kind in _subclasses(AskedOperation)}
    places = {
        path.relative_to(ROOT).as_posix(): found
        for path in FILES
        if _room(path) != "evidence" and (found := list(_switches(_tree(path), kinds)))
    }
    assert sorted(places) == [
        "reindexer/models/ordered_operations.py",  # their own
        "reindexer/operations/__init__.py",  # the registry
        "reindexer/operations/index.py",  # that it is what it was registered for
        "reindexer/operations/transform.py",
    ]


def test_a_file_has_one_subject() -> None:
    assert [path for path in FILES if len(path.read_text().splitlines()) > LONGEST] == []


def test_every_module_has_a_name_that_says_something() -> None:
    names = {path: {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} for path in FILES}
    assert [path for path, parts in names.items() if parts & NAMELESS] == []


def test_on_top_of_the_commands_there_is_a_file_per_verb_and_no_other() -> None:
    files = {path.stem for path in (ROOT / "commands").glob("*.py")} - {"__init__"}
    assert files == {name.replace("-", "_") for name in starter.VERBS}


def test_nothing_imports_the_tests() -> None:
    assert [(path, module) for path, module in _imported() if module.split(".")[0] == "tests"] == []


def test_tests_are_files_of_one_subject_too() -> None:
    most = 400  # lines; cases are lists, and read as such
    long = [path.name for path in (ROOT / "tests").glob("*.py") if len(path.read_text().splitlines()) > most]
    assert long == []


def test_every_package_is_installed() -> None:
    """Those of rooms that are: what has no `__init__.py` is not found."""
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    folders = {path.parent for path in FILES if path.parent != ROOT}
    packages = {path.parent for path in FILES if path.name == "__init__.py"}
    assert folders == packages
    rooms = {folder.relative_to(ROOT).parts[0] for folder in folders}
    assert rooms - {name.removesuffix("*") for name in find["include"]} == {"evidence"}
