"""dynamodb-replicator 10.1.3: `diff-tables`, `diff-record` and its function; what they need comes from npm.

They reach an engine on this machine by themselves: a table may be named as `127.0.0.1:PORT/TABLE`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import alone, cache, keep, make, output_of, workshop
from testbed.processes import ServerUnavailable

VERSION = "10.1.3"
_HERE = Path(__file__).parent
_LOCK = _HERE / "package-lock.json"
_OLDEST_NODE = 20  # what it was measured with
_LONGEST = 1800.0  # seconds; 60,000 rows take half a minute
#: Connections are kept between calls, which aws-sdk v2 does on request alone: it is four times as fast.
_KEEPS_CONNECTIONS = {"AWS_NODEJS_CONNECTION_REUSE_ENABLED": "1"}


@dataclass(frozen=True)
class Said:
    """What it said at its end. `kinds`: lines that name a key, by their kind; `discrepancies`: its own sums."""

    code: int
    output: str
    error: str

    @property
    def kinds(self) -> Counter[str]:
        """A key that is different is named in each direction: twice."""
        return Counter(re.findall(r"\] \[(missing|extraneous|different)\] ", self.output))

    @property
    def discrepancies(self) -> list[int]:
        """Of the one direction and, if it came so far, of the other."""
        return [int(number) for number in re.findall(r"\] \[discrepancies\] (\d+)", self.output)]


def possible() -> bool:
    """Whether it can be run here: got before, or npm is there to get it with."""
    return _node() is not None and (_home().exists() or shutil.which("npm") is not None)


def command(program: str, *arguments: str) -> list[str]:
    """The command line of `diff-tables`, `diff-record` or our `follow`. May get what it needs first.

    Raises `ServerUnavailable` where there is no Node.
    """
    node = _node()
    if node is None:
        raise ServerUnavailable(f"{program} needs Node >= {_OLDEST_NODE} and npm on PATH.")
    return [node, str(_obtain() / "bin" / f"{program}.js"), *arguments]


def of(endpoint: str, table: str) -> str:
    """A table at an endpoint, as it wants it named."""
    return f"{endpoint.removeprefix('http://')}/{table}"


def environment() -> dict[str, str]:
    """This process's, with connections kept."""
    return {**os.environ, **_KEEPS_CONNECTIONS}


def diff_tables(endpoint: str, primary: str, replica: str, *options: str) -> Said:
    """Compare two tables of one engine with it."""
    asked = command("diff-tables", of(endpoint, primary), of(endpoint, replica), *options)
    ran = subprocess.run(
        asked, env=environment(), capture_output=True, text=True, timeout=_LONGEST, check=False
    )
    return Said(ran.returncode, ran.stdout, ran.stderr)


def _obtain() -> Path:
    if not _home().exists():
        with alone("replicator"):
            if not _home().exists():
                _get()
    return _home()


def _get() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ServerUnavailable("dynamodb-replicator needs npm on PATH.")
    folder = workshop("replicator")
    shutil.copytree(_HERE / "source", folder, dirs_exist_ok=True)
    shutil.copy(_HERE / "follow.js", folder / "bin")
    for name in ("package.json", _LOCK.name):
        shutil.copy(_HERE / name, folder)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
    why = "What dynamodb-replicator needs cannot be installed: can npm reach its registry from here?"
    make("replicator", "Installing what dynamodb-replicator needs: some seconds", [(npm, "ci", *quiet)], why)
    keep(folder, _home())


def _home() -> Path:
    """Of its own for each set of files."""
    files = sorted([*(_HERE / "source").rglob("*.js"), _HERE / "follow.js", _LOCK])
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return cache() / f"dynamodb-replicator-{VERSION}-{digest[:8]}"  # enough to tell a few apart


def _node() -> str | None:
    """Node on PATH if new enough."""
    node = shutil.which("node")
    major = re.match(r"v(\d+)", output_of([node, "--version"])) if node else None
    return node if major and int(major[1]) >= _OLDEST_NODE else None
