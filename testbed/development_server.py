"""Temporal's development server on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client

from reindexer.connect import DATA_CONVERTER
from testbed.cache import Obtained
from testbed.obtain import obtain
from testbed.processes import GRACE_SECONDS, PATIENCE_SECONDS, Process, ServerUnavailable, free_port
from testbed.surroundings import answers, without_caller

# The development server keeps the limits of a production one; none of these may be what a benchmark measures.
_DYNAMIC_CONFIG = {
    "frontend.rps": 100_000,  # 2,400 otherwise
    "frontend.namespaceRPS": 100_000,  # 2,400
    "frontend.namespaceRPS.visibility": 10_000,  # 100
    "frontend.namespaceCount": 10_000,  # long polls at a time: 1,200
    "history.rps": 100_000,  # 3,000
    "matching.rps": 100_000,  # 1,200
}


@dataclass(frozen=True)
class TemporalServer:
    """A running Temporal with its Web UI. `cli` is the binary to control it with; `how`, where it came from."""

    address: str
    ui_url: str
    namespace: str
    cli: Path
    how: str
    process: Process = field(repr=False)

    @property
    def pid(self) -> int:
        """Process id of the server; a restart changes it."""
        return self.process.pid

    async def connect(self) -> Client:
        """A client with the reindexer's data converter."""
        return await Client.connect(self.address, data_converter=DATA_CONVERTER)


@contextmanager
def temporal_server(
    *,
    logs: Path,
    database: Path | None = None,
    port: int | None = None,
    ui_port: int | None = None,
    search_attributes: Mapping[str, str] | None = None,
    dynamic_config: Mapping[str, object] | None = None,
) -> Iterator[TemporalServer]:
    """Temporal's development server for the block; `server.process.restart()` plays a crash.

    Without a `database` file its workflows are in memory and lost at its end. `search_attributes` are names and
    types (`{"ReindexTable": "Keyword"}`). `dynamic_config` goes over our own, for limits that a test wants low.
    May get the server first, see `obtain`. Raises `ServerUnavailable`.
    """
    obtained = obtain("temporal")
    port, ui_port = port or free_port(), ui_port or free_port()
    attributes = [f"{name}={kind}" for name, kind in (search_attributes or {}).items()]
    old = database is not None and database.exists()
    ui_url = f"http://127.0.0.1:{ui_port}"
    config = {**_DYNAMIC_CONFIG, **(dynamic_config or {})}
    process = Process(
        "Temporal's server",
        _command(obtained, port, ui_port, database, attributes, config),
        port=port,
        log=logs / "temporal.log",
        environment=without_caller(),
        # Asked through the Web UI: an answer means that both are up and that the namespace is there.
        answers=lambda: answers(urllib.request.Request(f"{ui_url}/api/v1/namespaces/default")),
        patience=PATIENCE_SECONDS,
        grace=GRACE_SECONDS if database is not None else 0,
    )
    address, cli = f"127.0.0.1:{port}", Path(obtained.command[0])
    with process:
        if old and attributes:  # an existing database takes none from the command line
            _add_search_attributes(cli, address, attributes)
        yield TemporalServer(address, ui_url, "default", cli, obtained.how, process)


def _command(
    obtained: Obtained,
    port: int,
    ui_port: int,
    database: Path | None,
    attributes: list[str],
    config: Mapping[str, object],
) -> list[str]:
    # An old style of settings file in the caller's home would set even --port and --db-filename.
    command = [*obtained.command, "--env-file", os.devnull, "server", "start-dev", "--log-level", "error"]
    command += ["--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port)]
    for key, value in config.items():
        command += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
    for attribute in attributes:
        command += ["--search-attribute", attribute]
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        command += ["--db-filename", str(database)]
        # Survives a crash of the server, not of the machine: as much as a development server needs.
        command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=off"]
    return command


def _add_search_attributes(cli: Path, address: str, attributes: list[str]) -> None:
    command = [str(cli), "--env-file", os.devnull, "operator", "search-attribute", "create"]
    command += ["--address", address]
    for name, _, kind in (attribute.partition("=") for attribute in attributes):
        command += ["--name", name, "--type", kind]
    done = subprocess.run(
        command, env=without_caller(), capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    if done.returncode != 0:
        raise ServerUnavailable(
            f"The database is of other search attributes: {done.stderr.strip()}. Take a new file."
        )
