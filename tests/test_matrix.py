"""The matrix of docs/exactness.md, the short one: what must hold holds, and the control overcounts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evidence.exactness.matrix import Part, taken_over
from evidence.exactness.mutations import MUTATIONS, Mutation
from evidence.exactness.row import markdown, read_markdown

CHECKOUT = Path(__file__).resolve().parent.parent


#: Parts of the short matrix, each with servers of its own. By day two cells, with a lost answer and another
#: writer, and a control that overcounts; at night all, in parts of a minute side by side.
DAILY = Part(quick=True, of=20, most=2)
NIGHTLY = [
    pytest.param(Part(quick=True, number=number, of=6), id=str(number), marks=pytest.mark.nightly)
    for number in range(6)
]


def test_rows_are_read_from_the_document_as_they_were_written() -> None:
    document = (CHECKOUT / "docs" / "exactness-matrix.md").read_text()
    rows = read_markdown(document)
    assert len(rows) > 100
    assert markdown(rows) in document


def test_new_rows_take_the_places_of_the_old_ones_and_the_control_stays_last() -> None:
    rows = read_markdown((CHECKOUT / "docs" / "exactness-matrix.md").read_text())
    again, other = replace(rows[3], seconds=1.5), replace(rows[3], operation="another")
    assert taken_over(rows, [again, other]) == [*rows[:3], again, *rows[4:-1], other, rows[-1]]


@pytest.mark.stack
@pytest.mark.parametrize("part", [pytest.param(DAILY, id="by day"), *NIGHTLY])
@pytest.mark.long
def test_the_short_matrix_holds(part: Part) -> None:
    _, rows = part.run()
    assert len(rows) > 1
    assert [(row.operation, row.fault, row.moment, row.wrong) for _, row in rows if row.wrong] == []
    assert any(row.operation == "the naive counter" for _, row in rows) is (part.number == 0)


@pytest.mark.parametrize(
    "what",
    ["500 after the write", "another writer", "touch, ", "delete, "],
)
def test_what_runs_by_day_has_every_kind(what: str) -> None:
    """Parts are chosen by their numbers: where a new cell has moved the others, choose again."""
    assert any(what in cell.name for _, cell in DAILY.cells())


@pytest.mark.stack
@pytest.mark.nightly
def test_a_row_that_holds_is_exit_code_0() -> None:
    words = ("--only", "touch", "--only", "500 after the write")
    command = [sys.executable, "-m", "evidence.exactness.matrix", "--quick", *words]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "500 after the write" in ran.stdout


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_mutation_still_fits_the_code(mutation: Mutation) -> None:
    assert (CHECKOUT / mutation.path).read_text().count(mutation.old) == 1
