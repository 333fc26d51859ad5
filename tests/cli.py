"""The command line as users run it: in a process of its own, with an environment of its own.

Importing a command costs ten times the CPU of most commands, and tests run hundreds of them: a server of
`multiprocessing` imports it once, and forks a process for each command.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.stack import CHECKOUT

#: Read once, at the start of Python or by an import: a command that differs here imports everything itself.
_READ_AT_IMPORT = ("COLUMNS", "FORCE_COLOR", "LANG", "LC_ALL", "NO_COLOR", "TERM", "TZ")
_FORKS = sys.platform != "darwin"  # whose own libraries do not survive a fork

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["starter", "tests.cli"])


def command(environment: dict[str, str], *arguments: str, timeout: float = 120) -> tuple[int, str, str]:
    """A command as a process of its own: (exit code, stdout, stderr). Raises `subprocess.TimeoutExpired`."""
    if not _FORKS or _differs(environment):
        return imported(environment, *arguments, timeout=timeout)
    with tempfile.TemporaryDirectory(prefix="command-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _forks.Process(target=_become, args=(environment, arguments, out, err), daemon=True)
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


def _differs(environment: dict[str, str]) -> bool:
    names = {name for name in {*environment, *os.environ} if name.startswith("PYTHON")}
    return any(environment.get(name) != os.environ.get(name) for name in names.union(_READ_AT_IMPORT))


def _become(environment: dict[str, str], arguments: Sequence[str], out: Path, err: Path) -> None:
    """In the forked process: what the new process of a command starts with, then the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(CHECKOUT)
    for place, number in ((out, 1), (err, 2)):
        file = os.open(place, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["starter.py", *arguments]
    import starter

    starter.main()
