"""The jobs of this process: found in a folder and in installed packages, loaded once, checked at once."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from reindexer.errors import BadInput, one_line
from reindexer.jobs.job import Job, JobBroken, job_of
from reindexer.settings import settings

#: The entry point group in which an installed package names its jobs: name = "package.module".
GROUP = "reindexer.jobs"


@cache
def catalogue() -> Mapping[str, Job]:
    """All jobs by name. Raises `JobBroken` for the first that cannot be used, with file and line."""
    jobs = jobs_in(settings().jobs)
    for entry in entry_points(group=GROUP):
        job = _installed(entry)
        if job.name in jobs:
            raise JobBroken(f"{job.file}, line 1: there is already a job {job.name!r}: {jobs[job.name].file}")
        jobs[job.name] = job
    return jobs


def find_job(name: str) -> Job:
    """The job of that name. Raises `BadInput` naming what there is."""
    jobs = catalogue()
    if name in jobs:
        return jobs[name]
    near = difflib.get_close_matches(name, jobs, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    there = ", ".join(sorted(jobs)) or "none"
    raise BadInput(f"there is no job {name!r}{hint}; there are: {there}", "operation.job")


def jobs_in(folder: Path) -> dict[str, Job]:
    """The jobs of a folder: every .py file but tests and names with an underscore in front."""
    if not folder.is_dir():
        raise JobBroken(f"{folder}: there is no such folder (setting REINDEXER_JOBS)")
    files = [
        file
        for file in sorted(folder.glob("*.py"))
        if not file.name.startswith(("_", "test_")) and file.name != "conftest.py"
    ]
    return {file.stem: load_job(file) for file in files}


def load_job(file: Path) -> Job:
    """One job file. Raises `JobBroken` with the file and the line that is at fault."""
    source = file.read_bytes()
    name = f"reindexer_jobs.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks there for the types that annotations name
    try:
        # Compiled from the very bytes the hash is of, and never from a cached .pyc.
        exec(compile(source, str(file), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # a file that ends the process would do so in every command
        raise JobBroken(_where(error, str(file))) from error
    return job_of(file.stem, str(file), source, module)


def _installed(entry: EntryPoint) -> Job:
    named = f"(entry point {entry.name} = {entry.value})"
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:
        raise JobBroken(f"{_where(error, _file_of(entry))} {named}") from error
    file = getattr(module, "__file__", None)
    if not isinstance(module, ModuleType) or file is None:
        raise JobBroken(f"it has to name a module that is a file, and nothing in it {named}")
    return job_of(entry.name, file, Path(file).read_bytes(), module)


def _file_of(entry: EntryPoint) -> str:
    """Where the named module is; "" where there is none."""
    try:
        spec = importlib.util.find_spec(entry.module)
    except ImportError:  # the package around it is not there either
        return ""
    return (spec.origin if spec else None) or ""


def _where(error: BaseException, file: str) -> str:
    """`file, line n: what`, at the innermost line of the file itself; what alone, where there is no file."""
    text = f"{type(error).__name__}: {one_line(error)}"
    if isinstance(error, SyntaxError):
        return f"{error.filename or file}, line {error.lineno or 1}: {text}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}, line {lines[-1] if lines else 1}: {text}" if file else text
