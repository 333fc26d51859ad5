"""The jobs of this checkout, each tried without any server."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evidence.benchmarks.job import transform
from reindexer.jobs import catalogue
from reindexer.models import Transform
from reindexer.planning.bounds import check_params
from reindexer.planning.job import checked_job
from reindexer.testing import run_job
from tests.stack import CHECKOUT

CUTOFF = {"modified_before": "2020-01-01T00:00:00Z"}


def document(published: str, modified: str = "2019-05-01T00:00:00Z") -> dict[str, Any]:
    return {"id": "a", "published": published, "modified": modified}


@pytest.mark.parametrize(
    ("published", "becomes"),
    [
        ("2015-03-01T12:00:00Z", "Sun, 01 Mar 2015 12:00:00 +0000"),
        ("2015-03-01T12:00:00.123+02:00", "Sun, 01 Mar 2015 12:00:00 +0200"),
        ("Sun, 01 Mar 2015 12:00:00 +0000", None),
    ],
)
def test_dates_before_the_cut_off_are_rewritten_once(published: str, becomes: str | None) -> None:
    [one] = run_job("rfc822_dates", [document(published)], CUTOFF).records
    assert one.outcome == ("updated" if becomes else "filtered")
    assert one.after is not None
    assert one.after["published"] == (becomes or published)
    assert run_job("rfc822_dates", [one.after], CUTOFF).outcomes == {"filtered": 1}


def test_documents_modified_since_and_those_without_the_date_are_left_alone() -> None:
    rows = [document("2015-03-01T12:00:00Z", "2020-01-01T00:00:00Z"), {"id": "b", "modified": "2019"}]
    assert run_job("rfc822_dates", rows, CUTOFF).outcomes == {"filtered": 2}


def test_a_date_that_is_none_is_given_up_with_its_line() -> None:
    [one] = run_job("rfc822_dates", [document("yesterday")], CUTOFF).records
    assert one.outcome == "quarantined"
    assert "ValueError" in one.error
    assert "(rfc822_dates.py:" in one.error


def test_white_space_is_normalised_in_text_alone() -> None:
    row = {"id": " a ", "name": "  Ulm \n am  Donau", "n": 1, "blank": "  ", "tags": {" x "}}
    [one] = run_job("normalise_whitespace", [row]).records
    assert one.after == {**row, "name": "Ulm am Donau"}
    assert run_job("normalise_whitespace", [row], {"attributes": ["n", "missing"]}).outcomes == {"filtered": 1}


@pytest.mark.parametrize(
    ("population", "size"),
    [(0, "village"), (14_999, "village"), (15_000, "town"), (100_000, "city"), (1_000_000, "metropolis")],
)
def test_cities_get_a_size_and_a_country(population: int, size: str) -> None:
    [one] = run_job("size_class", [{"id": "1", "population": population, "countrycode": "CH"}]).records
    assert one.after is not None
    assert (one.after["size_class"], one.after["country_name"]) == (size, "Switzerland")
    assert one.after["population"] == Decimal(population)


def test_what_is_too_old_is_deleted_and_what_is_not_stays() -> None:
    params = {"older_than_days": 30, "now": "2026-01-31T00:00:00Z"}
    limit = 1767225600  # 2026-01-01
    rows = [{"id": str(at), "created_at": at} for at in (limit - 1, limit, limit + 1)] + [{"id": "no time"}]
    run = run_job("expire", rows, params)
    assert [record.outcome for record in run.records] == ["deleted", "filtered", "filtered", "filtered"]


def test_every_shipped_job_is_short_documented_and_imports_reindexer_alone() -> None:
    jobs = catalogue.jobs_in(CHECKOUT / "jobs")
    assert len(jobs) >= 4
    for job in jobs.values():
        text = Path(job.file).read_text()
        assert len(text.splitlines()) < 100
        assert job.documentation
        assert "import boto3" not in text
    assert [name for name, job in jobs.items() if job.destructive] == ["expire"]


def test_the_benchmarks_transform_is_one_that_planning_takes() -> None:
    operation = Transform.model_validate(transform())
    checked_job(operation)
    check_params(operation.params)
