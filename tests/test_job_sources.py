"""Jobs from a folder and from installed packages, really loaded; broken ones stop the worker and are named."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reindexer.errors import BadInput
from reindexer.jobs import catalogue
from reindexer.jobs.job import Job, JobBroken
from reindexer.settings import settings
from testbed.job import outcome
from testbed.stack import Stack
from tests.installed_jobs import install
from tests.stack import CHECKOUT
from tests.tables import Table

SHOUT = '''"""Write the names in capitals."""

from reindexer import Params, Update


class Shout(Params):
    mark: str = "!"


def transform(item, params):
    return Update(set={"name": item["name"].upper() + params.mark})
'''
BROKEN = """from reindexer import Skip

limit = no_such_name


def transform(item, params):
    return Skip("x")
"""

Load = Callable[[], dict[str, Job]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads what a process would that has `tmp_path/jobs` and the packages in `tmp_path/site`."""
    (tmp_path / "jobs").mkdir()
    monkeypatch.setenv("REINDEXER_JOBS", str(tmp_path / "jobs"))
    before = set(sys.modules)

    def loaded() -> dict[str, Job]:
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        settings.cache_clear()
        catalogue.catalogue.cache_clear()
        return dict(catalogue.catalogue())

    yield loaded
    for name in set(sys.modules) - before:
        del sys.modules[name]
    monkeypatch.undo()
    settings.cache_clear()
    catalogue.catalogue.cache_clear()


def test_jobs_of_a_folder_and_of_a_package_stand_beside_each_other(tmp_path: Path, load: Load) -> None:
    (tmp_path / "jobs" / "whisper.py").write_text(SHOUT)
    (tmp_path / "jobs" / "_notes.py").write_text(BROKEN)
    (tmp_path / "jobs" / "test_whisper.py").write_text(BROKEN)
    install(tmp_path / "site", {"loud": SHOUT}, {"shout": "acme_jobs.loud"})
    jobs = load()
    assert sorted(jobs) == ["shout", "whisper"]
    assert jobs["shout"].file == str(tmp_path / "site" / "acme_jobs" / "loud.py")
    assert jobs["shout"].code == jobs["whisper"].code, "the hash is of the file, wherever it is"
    assert jobs["shout"].parameters({}).model_dump() == {"mark": "!"}
    with pytest.raises(BadInput, match=r"there is no job 'shot' \(did you mean shout\?\)"):
        catalogue.find_job("shot")


def test_two_jobs_of_one_name_are_refused(tmp_path: Path, load: Load) -> None:
    (tmp_path / "jobs" / "shout.py").write_text(SHOUT)
    install(tmp_path / "site", {"loud": SHOUT}, {"shout": "acme_jobs.loud"})
    with pytest.raises(JobBroken, match=r"loud\.py, line 1: there is already a job 'shout': .*/jobs/shout\.py"):
        load()


@pytest.mark.parametrize(
    ("modules", "entry", "says"),
    [
        ({"loud": BROKEN}, "acme_jobs.loud", "acme_jobs/loud.py, line 3: NameError: name 'no_such_name'"),
        (
            {"loud": "def transform(item):\n    pass\n"},
            "acme_jobs.loud",
            "acme_jobs/loud.py, line 1: transform",
        ),
        ({"loud": "x = (\n"}, "acme_jobs.loud", "acme_jobs/loud.py, line 1: SyntaxError"),
        ({}, "acme_jobs.loud", "ModuleNotFoundError: No module named 'acme_jobs.loud' (entry point shout = "),
        ({}, "nobodys.jobs", "ModuleNotFoundError: No module named 'nobodys' (entry point shout = "),
        (
            {"loud": SHOUT},
            "acme_jobs.loud:transform",
            "has to name a module that is a file, and nothing",
        ),
    ],
)
def test_what_is_wrong_with_an_installed_job_is_named(
    tmp_path: Path, load: Load, modules: dict[str, str], entry: str, says: str
) -> None:
    install(tmp_path / "site", modules, {"shout": entry})
    with pytest.raises(JobBroken) as broken:
        load()
    assert says in str(broken.value)
    assert "importlib" not in str(broken.value)


@pytest.mark.parametrize("where", ["folder", "package"])
def test_a_broken_job_stops_the_worker_with_file_line_and_exit_code_2(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    environment = {**os.environ, "REINDEXER_JOBS": str(folder), "PYTHONPATH": str(tmp_path / "site")}
    broken = folder / "loud.py" if where == "folder" else tmp_path / "site" / "acme_jobs" / "loud.py"
    if where == "folder":
        broken.write_text(BROKEN)
    else:
        install(tmp_path / "site", {"loud": BROKEN}, {"shout": "acme_jobs.loud"})
    done = subprocess.run(
        [sys.executable, "worker.py"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert f"{broken}, line 3: NameError: name 'no_such_name' is not defined" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_job_of_an_installed_package_runs_on_a_real_worker(
    quiet: Stack, make_table: Callable[..., Table], tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    site = install(tmp_path / "site", {"loud": SHOUT}, {"shout": "acme_jobs.loud"})
    queue = f"installed-{uuid.uuid4().hex[:8]}"
    own = quiet.beside(queue, {"REINDEXER_JOBS": str(tmp_path / "jobs"), "PYTHONPATH": str(site)})
    table = make_table()
    table.fill(40, name={"S": "ulm"})
    operation = {"kind": "transform", "job": "shout", "params": {"mark": "?"}}
    with own.workers:
        kind, report = await outcome(await own.start({"table": table.name, "operation": operation}))
    assert (kind, report["tally"]["updated"]) == ("complete", 40)
    assert {row["name"]["S"] for row in table.items()} == {"ULM?"}
