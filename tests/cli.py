"""The command line as users run it."""

from __future__ import annotations

import subprocess
import sys

from tests.stack import CHECKOUT


def command(environment: dict[str, str], *arguments: str, timeout: float = 120) -> tuple[int, str, str]:
    """A command as a process of its own: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "starter.py", *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stdout, done.stderr
