"""`--json`: stdout is one JSON document, whatever the jobs print."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import starter
from reindexer.jobs.catalogue import catalogue
from reindexer.settings import settings
from tests.cli import command

LOUD = '''"""Prints wherever it can."""

import atexit
import logging
import os
import subprocess
import sys

print("from print")
sys.stdout.write("from sys.stdout\\n")
os.write(1, b"from the descriptor\\n")
subprocess.run(["echo", "from a process"], check=True)
logging.basicConfig(stream=sys.stdout, force=True)
logging.error("from a log")
atexit.register(print, "at exit")


def query(params):
    print("from query")


def transform(item, params):
    ...
'''


@pytest.fixture
def loud(tmp_path: Path) -> dict[str, str]:
    """An environment whose only job prints at its top."""
    (tmp_path / "loud.py").write_text(LOUD)
    return {**os.environ, "REINDEXER_JOBS": str(tmp_path), "TEMPORAL_ADDRESS": "127.0.0.1:9"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["jobs", "--json"], 0), (["doctor", "--json"], 1), (["doctor", "cities", "--json"], 1)],
)
def test_stdout_is_json_and_nothing_else(loud: dict[str, str], arguments: list[str], code: int) -> None:
    ended, out, err = command(loud, *arguments)
    assert ended == code, err
    assert out.count("\n") == 1
    assert json.loads(out)
    for text in ("from print", "from sys.stdout", "from the descriptor", "from a process", "from a log"):
        assert text in err


def test_json_is_utf_8_in_any_locale(loud: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "ü.py").write_text('"""Für Köln."""\n' + LOUD, "utf-8")
    ended, out, err = command({**loud, "PYTHONIOENCODING": "utf-8:strict"}, "jobs", "--json")
    assert ended == 0, err
    assert "Für Köln." in out


def test_within_a_process_too_and_afterwards_all_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loud.py").write_text('print("loud")\ndef transform(item, params): ...\n')
    monkeypatch.setenv("REINDEXER_JOBS", str(tmp_path))
    settings.cache_clear()
    catalogue.cache_clear()
    try:
        assert starter.run(["jobs", "--json"]) == 0
    finally:
        settings.cache_clear()
        catalogue.cache_clear()
    assert [job["name"] for job in json.loads(capsys.readouterr().out)] == ["loud"]
    print("as before")
    assert capsys.readouterr().out == "as before\n"


def test_help_stays_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert starter.run(["jobs", "--json", "--help"]) == 0
    assert "reindexer jobs" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["exit(3)", "raise SystemExit", "import sys\nsys.exit('no')"])
def test_a_file_that_ends_the_process_is_a_broken_file(tmp_path: Path, loud: dict[str, str], text: str) -> None:
    (tmp_path / "ends.py").write_text(f"{text}\n")
    ended, out, err = command(loud, "jobs", "--json")
    assert (ended, out) == (2, "")
    assert f"{tmp_path}/ends.py, line" in err
