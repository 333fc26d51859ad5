"""dynoxide: DynamoDB in Rust on SQLite, the fastest engine to be had."""

from __future__ import annotations

import shutil

from deploy.cache import Obtained, binary, find_binary, keep, make, workshop
from deploy.processes import ServerUnavailable

VERSION = "3.2.0"
_BUILD = f"{VERSION}-o3"  # upstream builds for size; built for speed a record costs it 12 % less CPU
#: Conditions and stream index were tried with this one.
_OLDEST = (3, 2, 0)


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
    features = ("--locked", "--no-default-features", "--features", "native-sqlite,http-server,cli")
    make(
        "dynoxide",
        f"Building dynoxide {VERSION} with Rust: about 4 minutes",
        [(cargo, "install", "dynoxide-rs", "--version", VERSION, *features, "--root", str(folder))],
        "dynoxide cannot be built. Put `dynoxide` on PATH, or use ministack.",
        CARGO_PROFILE_RELEASE_OPT_LEVEL="3",
    )
    keep(folder / "bin" / "dynoxide", binary(f"dynoxide-{_BUILD}"))
