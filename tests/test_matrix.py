"""The matrix of docs/exactness.md, the short one: what must hold holds, and the control overcounts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evidence.exactness.mutations import MUTATIONS, Mutation

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.mark.stack
def test_the_short_matrix_holds() -> None:
    command = [sys.executable, "-m", "evidence.exactness.matrix", "--quick"]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "the naive counter" in ran.stdout


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_mutation_still_fits_the_code(mutation: Mutation) -> None:
    assert (CHECKOUT / mutation.path).read_text().count(mutation.old) == 1
