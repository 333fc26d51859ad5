"""The options of the command line, made from the fields of the input, and what the document says of both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import typer
from pydantic import BaseModel
from typer.testing import CliRunner

import starter
from commands.input.fields import Fields, Given, options, with_fields
from reindexer.errors import BadInput
from reindexer.models import JobInput, Quarantined, SearchAddress, With
from tests.stack import CHECKOUT

OPTIONS = options()
#: Fields that no option gives: of a scope that `redrive` makes.
OF_A_REDRIVE = {f"scope.{name}" for name in Quarantined.model_fields} - {"scope.kind", "scope.keys"}
#: Objects whose fields have the options.
OBJECTS = {"operation", "operation.with", "operation.to", "scope", "limits", "attributes"}
#: Fields of a second table, which a verb of its own takes.
BACKFILL = "operation.backfill"
#: Of an index in its place, whose alias and secret have the options of one that is written.
BESIDE = {f"operation.with.{name}" for name in ("search", "alias", "index", "auth")}
OF_COMPARE = {path for path in OPTIONS if path.startswith("operation.with.")} | {
    "operation.leave_out",
    "operation.lag_seconds",
}


#: Fields of a search index, likewise.
OF_INDEX = {
    *(f"operation.to.{name}" for name in SearchAddress.model_fields),
    "operation.mapping",
    "operation.settings",
    "operation.move_alias",
    "operation.replace_index",
}
#: Fields of a replica: how it is reached has the options of a second table.
HOW_REACHED = {f"operation.to.{name}" for name in With.model_fields} - OF_INDEX
OF_REPLICA = HOW_REACHED | {"operation.create", "operation.replace", "operation.allow_chain"}


def flags_of(verb: str) -> list[str]:
    command = typer.main.get_command(starter.app).commands[verb]  # type: ignore[attr-defined]
    return [
        parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
        for parameter in command.params
    ]


def fields(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every field that may be written, by its path."""
    for attribute, field in model.model_fields.items():
        path = f"{above}{field.alias or attribute}"
        yield path
        if path in OBJECTS:
            for kind in _models(field.annotation):
                yield from fields(kind, f"{path}.")


def _models(annotation: Any) -> list[type[BaseModel]]:
    found = getattr(annotation, "__args__", None) or (annotation,)
    found = [get_args(kind)[0] if get_origin(kind) is Annotated else kind for kind in found]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseModel)]


def test_every_field_of_the_input_has_an_option_and_start_takes_it() -> None:
    assert set(fields(JobInput)) - OBJECTS - OF_A_REDRIVE == {
        path for path in OPTIONS if not path.endswith("_from")
    }
    flags = {path: option.flag for path, (option, _) in OPTIONS.items()}
    assert {
        flag for path, flag in flags.items() if path not in {*OF_COMPARE, *OF_INDEX, *OF_REPLICA, BACKFILL}
    } <= set(flags_of("start"))
    assert {flags[path] for path in OF_INDEX} <= set(flags_of("index"))
    assert {flags[path] for path in OF_REPLICA} <= set(flags_of("replicate"))
    of_refresh = {f"operation.to.{name}" for name in SearchAddress.model_fields}
    assert {flags[path] for path in {*of_refresh, *HOW_REACHED}} <= set(flags_of("refresh"))
    assert "--scope" not in flags_of("refresh")
    assert {flags[path] for path in OF_COMPARE} <= set(flags_of("compare"))
    assert {flags[path] for path in (*(OF_COMPARE - BESIDE), BACKFILL)} <= set(flags_of("repair"))


def test_options_have_names_of_their_own_and_a_help() -> None:
    own = [option for path, (option, _) in OPTIONS.items() if path not in HOW_REACHED | BESIDE]
    flags = [flag for option in own for flag in (option.flag, option.alias) if flag]
    assert len(set(flags)) == len(flags)
    assert all(
        option.help.endswith(".") or option.flag.endswith("-attribute") for option, _ in OPTIONS.values()
    )


def test_the_order_of_the_help_is_the_order_of_the_verb() -> None:
    assert flags_of("limits") == [
        "JOB",
        "--read-units",
        "--write-units",
        "--other-read-units",
        "--bytes-per-second",
        "--records-per-second",
        "--shards-in-flight",
        "--quarantined",
        "--reason",
        "--json",
    ]
    assert flags_of("redrive") == [
        "JOB",
        "--error",
        "--key",
        "--run",
        "--skip-expired",
        "--reason",
        "--wait",
        "--json",
    ]


# ── What options give ──────────────────────────────────────────────────────────────────────────────────────


def given_by(*arguments: str) -> Given:
    """What a verb receives that takes every option."""
    received: list[Given] = []

    def verb(*, given: Annotated[Given, Fields("table", *OPTIONS)]) -> None:
        received.append(given)

    app = typer.Typer()
    app.command()(with_fields(verb))
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, BadInput):
        raise done.exception
    assert done.exit_code == 0, done.output
    [given] = received
    return given


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ("cities", {"table": "cities"}),
        ("--version 7", {"operation": {"version": 7}}),
        ("--operation verify --version next", {"operation": {"kind": "verify", "version": "next"}}),
        (
            "--job j --param a=1 --param b=x",
            {"operation": {"kind": "transform", "job": "j", "params": {"a": "1", "b": "x"}}},
        ),
        ("--sample 3", {"scope": {"kind": "sample", "limit": 3}}),
        ("--scope complete", {"scope": {"kind": "complete"}}),
        ("--partition a --partition b", {"scope": {"kind": "partitions", "values": ["a", "b"]}}),
        (
            "--partition a --sort-key lt=3 --index i",
            {"scope": {"kind": "partitions", "values": ["a"], "sort_key": {"lt": "3"}, "index": "i"}},
        ),
        ("--quarantined 0 --write-units 2.5", {"limits": {"write_units_per_second": 2.5, "quarantined": 0}}),
        (
            "--read-units chosen --records-per-second unlimited",
            {"limits": {"read_units_per_second": None, "records_per_second": "unlimited"}},
        ),
        ("--no-verify --no-sweep --dry-run", {"verify": False, "sweep": False, "dry_run": True}),
        ("--segments 4 --isolation record", {"total_segments": 4, "isolation": "record"}),
        ("--run-attribute r --reason why", {"attributes": {"run": "r"}, "reason": "why"}),
    ],
)
def test_only_what_was_given_is_in_the_input(arguments: str, given: dict[str, Any]) -> None:
    assert given_by(*arguments.split()) == given


@pytest.mark.parametrize("flag", ["--keys", "--keys-from", "--partitions-from"])
def test_a_file_gives_a_scope(tmp_path: Path, flag: str) -> None:
    file = tmp_path / "given"
    file.write_text("a\nb\n")
    kind = "keys" if flag.startswith("--keys") else "partitions"
    assert given_by(flag, str(file)) == {"scope": {"kind": kind, "values": ["a", "b"]}}


def test_the_options_of_one_field_are_read_together() -> None:
    with pytest.raises(BadInput, match="one scope at a time"):
        given_by("--scope", "keys", "--sample", "3")
    with pytest.raises(BadInput, match="--read-units: should be a number per second"):
        given_by("--read-units", "much")


# ── The document ───────────────────────────────────────────────────────────────────────────────────────────

PAGE = (CHECKOUT / "docs" / "input.md").read_text()


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows() -> Iterator[tuple[str, str, str]]:
    """Field, option and default, as the page's table has them."""
    table = re.search(r"^\| field \| option .*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.M)
    assert table is not None
    for line in table[1].splitlines():
        field, option, default, _ = line.strip("|").split("|", 3)
        yield from (
            (name, flag, default.strip()) for name, flag in zip(names(field), names(option), strict=True)
        )


def test_the_document_names_every_field_with_its_option() -> None:
    documented = {field: flag for field, flag, _ in rows()}
    of_scopes = {path for path in OPTIONS if path.startswith("scope.")} - {"scope.kind"}
    assert documented == {path: option.flag for path, (option, _) in OPTIONS.items() if path not in of_scopes}
    scopes = PAGE.split("## Scopes")[1].split("###")[0]
    assert {OPTIONS[path][0].flag for path in of_scopes} <= set(names(scopes))


@pytest.mark.parametrize(
    ("verb", "kinds", "refused"),
    [
        ("start", {"complete", "sample", "keys", "partitions"}, set()),
        ("compare", {"complete", "sample", "keys", "partitions"}, {"--index"}),
        ("repair", {"complete", "keys", "partitions"}, {"--index", "--sample"}),
    ],
)
def test_a_verb_offers_no_scope_that_it_refuses(verb: str, kinds: set[str], refused: set[str]) -> None:
    shown = CliRunner().invoke(starter.app, [verb, "--help"], env={"COLUMNS": "200"}).output
    [offered] = re.findall(r"--scope <(.*?)>", shown)
    assert set(offered.split("|")) == kinds
    assert {"--index", "--sample", "--partition"} - set(flags_of(verb)) == refused


def test_the_document_names_the_defaults() -> None:
    checked = 0
    for field, _, default in rows():
        value = OPTIONS[field][1].default
        if isinstance(value, bool | int):
            assert default.strip("`") == json.dumps(value), field
            checked += 1
    assert checked >= 10
