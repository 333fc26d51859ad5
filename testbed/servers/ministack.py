"""ministack: AWS in Python; its DynamoDB starts in seconds and needs nothing but pip."""

from __future__ import annotations

from pathlib import Path

from testbed.cache import Obtained, cache, install

VERSION = "1.5.33"
#: It and what it needs from PyPI.
_LOCK = Path(__file__).with_name("ministack.lock")


def find() -> Obtained | None:
    """Got before; one beside our own Python may be of another version."""
    python = cache() / f"ministack-{VERSION}" / "bin" / "python"
    # A module, not its script: scripts name their first folder and break when that is moved.
    # Isolated, since a folder called `jobs` in the current directory is not meant for it.
    command = (str(python), "-I", "-m", "ministack")
    return Obtained(command, f"ministack {VERSION}, {python.parents[1]}") if python.exists() else None


def get() -> None:
    """Installed by pip, in an environment of its own."""
    home = cache() / f"ministack-{VERSION}"
    install(_LOCK, home, f"Installing ministack {VERSION}, a DynamoDB engine: under a minute")
