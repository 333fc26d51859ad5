"""dynoxide: DynamoDB in Rust on SQLite, the fastest engine to be had."""

from __future__ import annotations

import shutil
from pathlib import Path

from testbed.cache import Obtained, binary, find_binary, keep, make, workshop
from testbed.processes import ServerUnavailable

VERSION = "3.2.0"
_BUILD = f"{VERSION}-jemalloc"
#: Conditions and stream index were tried with this one.
_OLDEST = (3, 2, 0)
#: Its server as a program of ours, since a program's allocator is chosen where it is put together.
_PACKAGE = Path(__file__).with_name("dynoxide_serve")


def find() -> Obtained | None:
    """On PATH, or got before."""
    return find_binary("dynoxide", _OLDEST, _BUILD)


def possible() -> bool:
    """Whether `get` has a fair chance."""
    return shutil.which("cargo") is not None


def get() -> None:
    """Built with Rust."""
    folder, cargo = workshop("dynoxide"), shutil.which("cargo")
    if cargo is None:
        raise ServerUnavailable("dynoxide is not here. Put it or Rust's `cargo` on PATH, or use ministack.")
    into = ("--target-dir", str(folder / "target"), "--root", str(folder))
    make(
        "dynoxide",
        f"Building dynoxide {VERSION} with Rust: about 4 minutes",
        [(cargo, "install", "--locked", "--path", str(_PACKAGE), *into)],
        "dynoxide cannot be built. Put `dynoxide` on PATH, or use ministack.",
    )
    keep(folder / "bin" / "dynoxide", binary(f"dynoxide-{_BUILD}"))
