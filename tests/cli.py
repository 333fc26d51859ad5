"""The command line as users run it: in a process of its own, with an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests import forked
from tests.stack import CHECKOUT


def command(environment: dict[str, str], *arguments: str, timeout: float = 120) -> tuple[int, str, str]:
    """A command as a process of its own: (exit code, stdout, stderr). Raises `subprocess.TimeoutExpired`."""
    if not forked.serves(environment):
        return imported(environment, *arguments, timeout=timeout)
    with tempfile.TemporaryDirectory(prefix="command-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = forked.FORKS.Process(target=_command, args=(environment, arguments, out, err), daemon=True)
        process.start()
        try:
            process.join(timeout)
            if process.is_alive():
                raise subprocess.TimeoutExpired(arguments, timeout, out.read_bytes(), err.read_bytes())
        finally:
            process.kill()
            process.join()
        assert process.exitcode is not None
        return process.exitcode, out.read_text(), err.read_text()


def imported(environment: dict[str, str], *arguments: str, timeout: float = 120) -> tuple[int, str, str]:
    """The same, imported by the process itself."""
    done = subprocess.run(
        [sys.executable, "starter.py", *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stdout, done.stderr


def _command(environment: dict[str, str], arguments: Sequence[str], out: Path, err: Path) -> None:
    """In the forked process."""
    forked.become(environment, CHECKOUT, out, err)
    sys.argv = ["starter.py", *arguments]
    import starter

    starter.main()
