"""Nothing is begun or closed without someone's word: an answer on a terminal, or `--yes`."""

from __future__ import annotations

from typing import Any

import pytest
import typer

import commands.rescan
import commands.start
import starter
from commands.input import confirm
from commands.input.exits import Exit, Stopped
from reindexer.errors import BadInput
from tests.stand_in import a_plan


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of jobs that were launched, without any server; the plan is a plan made up."""
    names: list[str] = []

    def launch(_: Any, name: str, **__: Any) -> Exit:
        names.append(name)
        return Exit.COMPLETE

    monkeypatch.setattr(commands.start, "launch", launch)
    monkeypatch.setattr(commands.start, "look_ahead", lambda *_: a_plan())
    return names


@pytest.mark.parametrize("more", [[], ["--json"], ["--wait"], ["--operation", "verify", "--version", "7"]])
def test_without_a_terminal_start_shows_the_plan_and_refuses(
    started: list[str], capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert starter.run(["start", "cities", *more]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "about 500" in printed.err
    assert "not started: there is no terminal to ask on; use --yes to skip the question" in printed.err
    assert started == []


@pytest.mark.parametrize("more", [["--yes"], ["-y"], ["--job", "normalise_whitespace", "--dry-run"]])
def test_with_yes_it_starts_and_a_dry_run_needs_none(started: list[str], more: list[str]) -> None:
    assert starter.run(["start", "cities", *more]) == 0
    assert started == ["reindex-cities"]


@pytest.mark.parametrize("answer", [True, False, None])
def test_on_a_terminal_the_answer_counts(
    started: list[str], monkeypatch: pytest.MonkeyPatch, answer: bool | None
) -> None:
    def asked(*_: Any, **__: Any) -> bool:
        if answer is None:  # Ctrl-C
            raise typer.Abort
        return answer

    monkeypatch.setattr(confirm, "can_ask", lambda: True)
    monkeypatch.setattr(typer, "confirm", asked)
    assert starter.run(["start", "cities"]) == (0 if answer else 2)
    assert started == (["reindex-cities"] if answer else [])


def test_a_job_that_runs_already_is_refused_before_anyone_is_asked(
    started: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: Any) -> None:
        raise BadInput("a job reindex-cities is already running")

    monkeypatch.setattr(commands.start, "can_ask", lambda: True)
    monkeypatch.setattr(commands.start, "talk", refused)
    assert starter.run(["start", "cities"]) == 2
    shown = capsys.readouterr().err
    assert ("already running" in shown, "about 500" in shown, started) == (True, False, [])


@pytest.mark.parametrize("more", [[], ["--yes"]])
def test_a_rescan_asks_only_where_there_is_a_follow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    def refused(_: Any) -> None:
        raise BadInput("follow-cities is not running, it ended")

    monkeypatch.setattr(commands.rescan, "talk", refused)
    assert starter.run(["rescan", "follow-cities", *more]) == 2
    shown = capsys.readouterr().err
    assert ("it ended" in shown, "terminal" in shown) == (True, False)


def test_colours_make_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not confirm.can_ask()
    with pytest.raises(Stopped, match="nothing was changed: there is no terminal"):
        confirm.confirm("?", yes=False, otherwise="nothing was changed")
