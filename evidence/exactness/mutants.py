"""Does a test notice? Each mutation is made in a copy of the checkout, and its tests are run there.

    python -m evidence.exactness.mutants            # all; about half an hour
    python -m evidence.exactness.mutants cursor     # those with this word in their name or their tests' names

Exit code 1 if one survives, 2 if the tests fail without any mutation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from evidence.exactness.mutations import MUTATIONS, Mutation

_ROOT = Path(__file__).resolve().parent.parent.parent
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__")
_LONGEST = 600.0  # seconds; a mutant that makes a loop endless is caught as well
_FAILED = 1  # pytest's exit code for tests that ran and failed; another one means that they could not run


def main() -> None:
    """The command line."""
    words = sys.argv[1:]
    named = {mutation: " ".join((mutation.name, *mutation.tests)) for mutation in MUTATIONS}
    chosen = [mutation for mutation, name in named.items() if all(word in name for word in words)]
    if not chosen:  # pytest without tests would run all there are
        raise SystemExit(f"no mutation has {' '.join(words)} in its name or its tests' names")
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        checkout = Path(folder) / "checkout"
        shutil.copytree(_ROOT, checkout, ignore=_LEFT_OUT)
        needed = sorted({test for mutation in chosen for test in mutation.tests})
        clean = _tested(checkout, tuple(needed))
        if clean is not None:
            print(f"the tests fail without any mutation: {clean}")
            sys.exit(2)
        survived = [mutation for mutation in chosen if not _caught(checkout, mutation)]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    sys.exit(1 if survived else 0)


def _caught(checkout: Path, mutation: Mutation) -> bool:
    """Mutate, test, and put the file back."""
    path = checkout / mutation.path
    whole = path.read_text()
    if whole.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.name}: {mutation.path} has changed, the mutation does not fit any more")
    path.write_text(whole.replace(mutation.old, mutation.new))
    try:
        by = _tested(checkout, mutation.tests)
    finally:
        path.write_text(whole)
    print(f"- {mutation.name} → {by or '**survived**'}", flush=True)
    return by is not None


def _tested(checkout: Path, tests: tuple[str, ...]) -> str | None:
    """The first test that failed; None: all passed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        ran = subprocess.run(
            command,
            cwd=checkout,
            env={**os.environ, "HYPOTHESIS_PROFILE": "nightly"},  # more examples than `make check` has time for
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired:
        return "none ended in time"
    if ran.returncode == 0:
        return None
    failed = [
        line.split(" ", 1)[1].split(" - ")[0]
        for line in ran.stdout.splitlines()
        if line.startswith(("FAILED tests/", "ERROR tests/"))  # and not a line of the log
    ]
    if ran.returncode != _FAILED or not failed:
        raise SystemExit(f"the tests could not run:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return f"`{failed[0]}`"


if __name__ == "__main__":
    main()
