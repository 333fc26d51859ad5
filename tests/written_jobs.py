"""Job files written by tests, and targets that name them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reindexer.jobs import catalogue
from reindexer.jobs.job import Job
from reindexer.models import Transform
from tests.driving import target

HEAD = "from reindexer import Attr, Delete, Key, Params, Skip, Update\n"
WriteJob = Callable[..., Job]


def write_job(folder: Path, text: str, name: str = "job") -> Job:
    """A job of that text, loaded."""
    file = folder / f"{name}.py"
    file.write_text(HEAD + textwrap.dedent(text))
    return catalogue.load_job(file)


def offer(patch: pytest.MonkeyPatch, *jobs: Job) -> None:
    """Make these the jobs of this process."""
    patch.setattr(catalogue, "catalogue", lambda: {job.name: job for job in jobs})


def aim(job: Job, **more: Any) -> Any:
    """The model table's target for the job."""
    operation = Transform(kind="transform", job=job.name, params=more.pop("params", {}), version=7)
    return target(operation=operation, code=job.code, **more)
