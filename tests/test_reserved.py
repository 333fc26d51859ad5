"""Names that AWS keeps for itself are never written; what a job rewrites unchanged is no write."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from reindexer.jobs.job import JobBroken
from reindexer.models import Attributes
from reindexer.testing import run_job
from tests.written_jobs import write_job

EVERY = """
    def transform(item, params):
        return Update(set={name: value.upper() for name, value in item.items() if name != "id"})
"""


@pytest.mark.parametrize("name", ["aws:rep:updateregion", "aws:rep:deleting", "aws:rep:whatever"])
def test_a_record_whose_reserved_attribute_would_change_is_refused(tmp_path: Path, name: str) -> None:
    rows = [{"id": "a", "n": "ulm", name: "west"}, {"id": "b", "n": "ulm", name: "WEST"}]
    [changed, same] = run_job(write_job(tmp_path, EVERY), rows).records
    assert changed.outcome == "quarantined"
    assert changed.error.startswith(f"ReservedName: {name}: AWS's own attribute")
    assert (same.outcome, same.after) == ("updated", {"id": "b", "n": "ULM", name: "WEST"})


def test_it_is_not_removed_either(tmp_path: Path) -> None:
    job = write_job(
        tmp_path,
        """
        def transform(item, params):
            return Update(remove=["aws:rep:deleting"])
    """,
    )
    [ran] = run_job(job, [{"id": "a", "aws:rep:deleting": False}]).records
    assert ran.error.startswith("ReservedName: aws:rep:deleting")


def test_nor_can_it_be_version_run_or_lock(tmp_path: Path) -> None:
    for field in ("version", "run"):
        with pytest.raises(ValidationError, match="are AWS's own"):
            Attributes.model_validate({field: "aws:rep:x"})
    with pytest.raises(JobBroken, match="are AWS's own"):
        write_job(tmp_path, 'lock = "aws:rep:x"\ndef transform(item, params): ...\n')
