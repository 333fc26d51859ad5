"""The house's rules: which room may import which, how long a file may be, and what no module may be called."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import starter

ROOT = Path(__file__).parent.parent
#: Import direction: a room may import itself and what is named here.
MAY_IMPORT = {
    "reindexer": set(),
    "jobs": {"reindexer"},
    "activities": {"reindexer", "jobs"},
    "workflows": {"reindexer", "activities"},
    "supervisor": set(),
    "worker": {"supervisor", "workflows", "activities", "reindexer", "jobs"},
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
    "rounds": {"dynamo", "sinks", "sources", "operations", "jobs", "ledger", *_ABOVE},
    "dynamo": {"rounds", "sinks", "sources", "operations", "jobs", "page", *_ABOVE},
    "operations": {"rounds", "sinks", "sources", *_ABOVE},
    "sources": {"sinks", "operations", *_ABOVE},
    "sinks": {"sources", *_ABOVE},
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
EVERY_FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def _room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _inside(path: Path) -> str:
    """The room or file of the engine."""
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every import with the full name of the module it takes something from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports say the whole path"
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


@EVERY_FILE
def test_imports_flow_one_way(path: Path) -> None:
    room = _room(path)
    for _, module in _imports(ast.parse(path.read_text())):
        other = module.split(".")[0]
        assert other not in ROOMS - {room} or other in MAY_IMPORT[room], f"{room} may not import {module}"


@EVERY_FILE
def test_rooms_of_the_engine_import_one_way(path: Path) -> None:
    if _room(path) == "reindexer":
        forbidden = MAY_NOT_IMPORT.get(_inside(path), set())
        named = [module for _, module in _imports(ast.parse(path.read_text()))]
        inside = [module for module in named if module.startswith("reindexer.")]
        assert [module for module in inside if module.split(".")[1] in forbidden] == []


def test_rules_of_rooms_name_rooms_that_exist() -> None:
    named = {*MAY_NOT_IMPORT, *(other for others in MAY_NOT_IMPORT.values() for other in others)}
    assert named <= {_inside(path) for path in FILES if _room(path) == "reindexer"}


def test_no_file_of_a_room_imports_in_a_circle() -> None:
    """Not for types either: two files that need each other are one, or a third is missing between them."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    needs = {
        name: {
            found
            for _, module in _imports(ast.parse(path.read_text()))
            for found in (module, module.rpartition(".")[0])
            if found in names and found != name
        }
        for name, path in names.items()
    }
    TopologicalSorter(needs).prepare()  # raises `CycleError`, which names the circle


@EVERY_FILE
def test_the_engine_knows_nothing_of_temporal(path: Path) -> None:
    if _room(path) in ("reindexer", "jobs") and path.name != "connect.py":
        named = [
            module for _, module in _imports(ast.parse(path.read_text())) if module.startswith("temporalio")
        ]
        assert named == []


@EVERY_FILE
def test_workflows_do_no_io_and_draw_no_lots(path: Path) -> None:
    if _room(path) != "workflows":
        return
    for _, module in _imports(ast.parse(path.read_text())):
        assert module.split(".")[0] not in ("boto3", "botocore", "time", "random", "socket"), module


@EVERY_FILE
def test_workflows_take_types_and_activities_inside_one_passed_through_block(path: Path) -> None:
    if _room(path) != "workflows":
        return
    tree = ast.parse(path.read_text())
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and "imports_passed_through" in ast.unparse(node.items[0].context_expr)
    ]
    assert len(blocks) <= 1
    inside = {id(node) for block in blocks for node in ast.walk(block)}
    for node, module in _imports(tree):
        if module.split(".")[0] == "reindexer":
            assert module.split(".")[1] in PURE, f"{path.name} takes {module}"
        if module.split(".")[0] in ("reindexer", "activities"):
            assert id(node) in inside, f"{module} is outside of the block"


@EVERY_FILE
def test_a_file_has_one_subject(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@EVERY_FILE
def test_every_module_has_a_name_that_says_something(path: Path) -> None:
    assert not {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} & NAMELESS


def test_on_top_of_the_commands_there_is_a_file_per_verb_and_no_other() -> None:
    files = {path.stem for path in (ROOT / "commands").glob("*.py")} - {"__init__"}
    assert files == {name.replace("-", "_") for name in starter.VERBS}


@EVERY_FILE
def test_nothing_imports_the_tests(path: Path) -> None:
    assert not any(module.split(".")[0] == "tests" for _, module in _imports(ast.parse(path.read_text())))


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
