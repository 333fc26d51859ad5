"""Job files that cannot be used: each is named with its line, and what it would have to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from reindexer.jobs.job import JobBroken
from tests.written_jobs import write_job

GOOD = "def transform(item, params):\n    return Skip('x')\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("task_queue = 5\n", "line 2: task_queue must be the name of a Temporal task queue"),
        ("task_queue = ' '\n", "line 2: task_queue must be the name of a Temporal task queue"),
        ("\ntask_queue = 'own-rounds'\n", "line 3: task_queue must not end in -rounds"),
        ("lock = ''\n", "line 2: lock must be an attribute's name"),
        ("seconds = 601\n", "line 2: seconds must be above 0 and at most 600"),
    ],
)
def test_what_a_file_says_besides_its_functions_is_checked(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(JobBroken) as broken:
        write_job(tmp_path, text + GOOD)
    assert str(broken.value).startswith(f"{tmp_path / 'job.py'}, {says}")


def test_a_job_may_name_the_queue_of_its_own_workers(tmp_path: Path) -> None:
    assert write_job(tmp_path, "task_queue = 'own'\n" + GOOD).task_queue == "own"
    assert write_job(tmp_path, GOOD).task_queue is None
