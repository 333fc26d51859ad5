"""The matrix of docs/exactness.md, the short one: what must hold holds, and the control overcounts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evidence.exactness.matrix import Part
from evidence.exactness.mutations import MUTATIONS, Mutation

CHECKOUT = Path(__file__).resolve().parent.parent


#: Each with servers of its own, a minute long: they run side by side.
PARTS = 4


@pytest.mark.stack
@pytest.mark.parametrize("number", range(PARTS))
def test_the_short_matrix_holds(number: int) -> None:
    _, rows = Part(quick=True, number=number, of=PARTS).run()
    assert len(rows) > 1
    assert [(row.operation, row.fault, row.moment, row.wrong) for _, row in rows if row.wrong] == []
    assert any(row.operation == "the naive counter" for _, row in rows) is (number == 0)


@pytest.mark.stack
def test_a_row_that_holds_is_exit_code_0() -> None:
    words = ("--only", "touch", "--only", "500 after the write")
    command = [sys.executable, "-m", "evidence.exactness.matrix", "--quick", *words]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "500 after the write" in ran.stdout


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_mutation_still_fits_the_code(mutation: Mutation) -> None:
    assert (CHECKOUT / mutation.path).read_text().count(mutation.old) == 1
