"""docs/writing-jobs.md: its job files are loaded, and its Python is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import starter
from reindexer.jobs import catalogue
from tests.stack import CHECKOUT

TEXT = (CHECKOUT / "docs" / "writing-jobs.md").read_text()
SNIPPETS = re.findall(r"```(\w+)(?: file=(\S+))?\n(.*?)```", TEXT, re.DOTALL)
FILES = {name: code for language, name, code in SNIPPETS if language == "python" and name}
CODE = [code for language, name, code in SNIPPETS if language == "python" and not name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, code in FILES.items():
        (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_job_file_of_the_page_is_a_job(folder: Path) -> None:
    assert sorted(catalogue.jobs_in(folder)) == sorted(name.removesuffix(".py") for name in FILES)


@pytest.mark.parametrize("number", range(len(CODE)))
def test_the_pages_python_does_what_it_says(folder: Path, number: int) -> None:
    exec(compile(CODE[number], "docs/writing-jobs.md", "exec"), {})


def test_what_new_job_writes_is_loaded_and_passes_its_own_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reindexer.settings import settings

    monkeypatch.setenv("REINDEXER_JOBS", str(tmp_path / "jobs"))
    settings.cache_clear()
    try:
        result = CliRunner().invoke(starter.app, ["new-job", "greet_all"])
    finally:
        monkeypatch.delenv("REINDEXER_JOBS")
        settings.cache_clear()
    assert result.exit_code == 0, result.output
    assert list(catalogue.jobs_in(tmp_path / "jobs")) == ["greet_all"]
    names: dict[str, object] = {}
    exec((tmp_path / "jobs" / "test_greet_all.py").read_text(), names)
    for name, test in names.items():
        if name.startswith("test_") and callable(test):
            test()
