"""Temporal and DynamoDB on this machine: loopback, free ports and made-up credentials, always.

Two context managers, `temporal_server` and `dynamodb_engine`; what they start ends with the block, and with
this process, however that ends. The caller's AWS and Temporal settings are never read.
"""

from __future__ import annotations

import http.client
import os
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.cache import Obtained
from deploy.obtain import find, obtain, obtainable
from deploy.processes import Process, ServerUnavailable, free_port

__all__ = [
    "Engine",
    "ServerUnavailable",
    "TemporalServer",
    "available_engines",
    "caller_free_environment",
    "cure_stream_index",
    "dynamodb_engine",
    "obtain",
    "temporal_server",
]

#: Fastest first; `auto` takes one of the first two, moto lacks PartiQL.
_ENGINES = ("dynoxide", "ministack", "local", "moto")
#: Starts take 0.1 to 3 s; a minute covers a machine that is building something beside it.
_PATIENCE_SECONDS = 60.0
#: A server writes down what it has within a second; after ten it hangs.
_GRACE_SECONDS = 10.0
#: Docker gives containers 64 MB of memory disk, which a demo's table and stream fill: less than this is no use.
_MEMORY_DISK_BYTES = 1 << 30

# The development server keeps the limits of a production one; none of these may be what a benchmark measures.
_DYNAMIC_CONFIG = {
    "frontend.rps": 100_000,  # 2,400 otherwise
    "frontend.namespaceRPS": 100_000,  # 2,400
    "frontend.namespaceRPS.visibility": 10_000,  # 100
    "frontend.namespaceCount": 10_000,  # long polls at a time: 1,200
    "history.rps": 100_000,  # 3,000
    "matching.rps": 100_000,  # 1,200
}

# DynamoDB Local takes letters and digits only.
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
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


@dataclass(frozen=True)
class Engine:
    """A running DynamoDB engine. `how` says where it came from.

    `streams_at_speed`: a table with a stream takes writes about as fast, and all of them reach the stream.
    `supports_partiql`: conditional batches work. `durable`: what was written outlives `process.restart()`.
    `database` is where it keeps its data, None in the server's own memory.
    """

    name: str
    endpoint_url: str
    how: str
    streams_at_speed: bool
    supports_partiql: bool
    durable: bool
    database: Path | None
    process: Process = field(repr=False)

    @property
    def pid(self) -> int:
        """Process id of the engine; a restart changes it."""
        return self.process.pid


@contextmanager
def temporal_server(
    *,
    logs: Path,
    database: Path | None = None,
    port: int | None = None,
    ui_port: int | None = None,
    search_attributes: Mapping[str, str] | None = None,
) -> Iterator[TemporalServer]:
    """Temporal's development server for the block; `server.process.restart()` plays a crash.

    Without a `database` file its workflows are in memory and lost at its end. `search_attributes` are names and
    types (`{"ReindexTable": "Keyword"}`). May get the server first, see `obtain`. Raises `ServerUnavailable`.
    """
    obtained = obtain("temporal")
    port, ui_port = port or free_port(), ui_port or free_port()
    attributes = [f"{name}={kind}" for name, kind in (search_attributes or {}).items()]
    old = database is not None and database.exists()
    ui_url = f"http://127.0.0.1:{ui_port}"
    process = Process(
        "Temporal's server",
        _temporal_command(obtained, port, ui_port, database, attributes),
        port=port,
        log=logs / "temporal.log",
        environment=_without_caller(),
        # Asked through the Web UI: an answer means that both are up and that the namespace is there.
        answers=lambda: _answers(urllib.request.Request(f"{ui_url}/api/v1/namespaces/default")),
        patience=_PATIENCE_SECONDS,
        grace=_GRACE_SECONDS if database is not None else 0,
    )
    address, cli = f"127.0.0.1:{port}", Path(obtained.command[0])
    with process:
        if old and attributes:  # an existing database takes none from the command line
            _add_search_attributes(cli, address, attributes)
        yield TemporalServer(address, ui_url, "default", cli, obtained.how, process)


def _temporal_command(
    obtained: Obtained, port: int, ui_port: int, database: Path | None, attributes: list[str]
) -> list[str]:
    # An old style of settings file in the caller's home would set even --port and --db-filename.
    command = [*obtained.command, "--env-file", os.devnull, "server", "start-dev", "--log-level", "error"]
    command += ["--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port)]
    for key, value in _DYNAMIC_CONFIG.items():
        command += ["--dynamic-config-value", f"{key}={value}"]
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
    told = subprocess.run(
        command, env=_without_caller(), capture_output=True, text=True, timeout=_PATIENCE_SECONDS
    )
    if told.returncode != 0:
        raise ServerUnavailable(
            f"The database is of other search attributes: {told.stderr.strip()}. Take a new file."
        )


@contextmanager
def dynamodb_engine(
    name: str = "auto", *, logs: Path, database: Path | None = None, port: int | None = None
) -> Iterator[Engine]:
    """A DynamoDB engine for the block: auto, dynoxide, ministack, local or moto.

    `auto` is dynoxide where it is here, else ministack. In the folder `database` data is kept; without it,
    it is gone at the end. May get the engine first, see `obtain`. Raises `ServerUnavailable`.
    """
    if name == "auto":
        name = "dynoxide" if find("dynoxide") is not None else "ministack"
    if name not in _ENGINES:
        raise ServerUnavailable(f"There is no engine called {name}: choose of auto, {', '.join(_ENGINES)}.")
    if name == "moto" and database is not None:
        raise ServerUnavailable(
            "moto keeps its data in memory only: leave the database out, or use another engine."
        )
    obtained, port = obtain(name), port or free_port()
    scratch = _memory_disk() if name == "dynoxide" and database is None else None
    data = _data(name, database or scratch)
    process = Process(
        name,
        [*obtained.command, *_arguments(name, port, data)],
        port=port,
        log=logs / f"{name}.log",
        environment=_engine_environment(name, port, data),
        answers=lambda: _answers(_list_tables(port)),
        patience=_PATIENCE_SECONDS,
        # ministack removes a file from the system's temporary folder; the others have nothing to lose.
        grace=_GRACE_SECONDS if database is not None or name == "ministack" else 0,
        scratch=scratch,
    )
    durable = data is not None and name != "ministack"  # which writes its data down only when told to stop
    endpoint = f"http://127.0.0.1:{port}"
    with process:
        engine = Engine(name, endpoint, obtained.how, name == "moto", name != "moto", durable, data, process)
        yield replace(engine, streams_at_speed=cure_stream_index(engine) or engine.streams_at_speed)


def available_engines() -> list[str]:
    """The engines to be had here, fastest first: present, or obtainable with the tools on PATH."""
    return [name for name in _ENGINES if obtainable(name)]


def cure_stream_index(engine: Engine) -> bool:
    """Give dynoxide's database the index its streams lack; False where there is none to give it to.

    Without it every write to a table with a stream reads all of the stream. `dynamodb_engine` does it already.
    """
    if engine.name != "dynoxide" or engine.database is None:
        return False
    # In the engine's own spelling, upper case: SQLite uses an index on a CAST for the very same letters only.
    columns = "table_name, CAST(sequence_number AS INTEGER)"
    with closing(sqlite3.connect(engine.database, timeout=_PATIENCE_SECONDS)) as connection, connection:
        connection.execute(f"CREATE INDEX IF NOT EXISTS reindexer_stream ON _stream_records({columns})")
    return True


def caller_free_environment(engine_endpoint: str, temporal_address: str) -> dict[str, str]:
    """What a process needs in its environment to reach these two servers and nobody else's.

    The caller's variables, except all of AWS's and Temporal's; their settings files are out of sight, too.
    """
    around = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1", "localhost")))
    return {
        **_without_caller(),
        **_CREDENTIALS,
        "AWS_ENDPOINT_URL": engine_endpoint,  # of every service: none may reach the real one
        "AWS_ENDPOINT_URL_DYNAMODB": engine_endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": engine_endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TEMPORAL_ADDRESS": temporal_address,
        "TEMPORAL_NAMESPACE": "default",
        "NO_PROXY": around,  # botocore would ask a proxy for loopback, too
        "no_proxy": around,
    }


def _without_caller() -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TEMPORAL_"))}
    return {**inherited, "TEMPORAL_CONFIG_FILE": "/nonexistent/temporal.toml"}  # none or "" is the caller's own


def _engine_environment(name: str, port: int, data: Path | None) -> dict[str, str]:
    environment = {**_without_caller(), **_CREDENTIALS}
    if name == "ministack":
        environment |= {
            "BIND_HOST": "127.0.0.1",  # all interfaces otherwise
            "GATEWAY_PORT": str(port),
            "SERVICES": "dynamodb,dynamodbstreams",  # without the second, streams are refused
            "IOT_MTLS_ENABLED": "0",  # a listener of its own
            "DOCKER_HOST": "unix:///dev/null/none",  # it removes containers on starting and stopping
            "LOG_LEVEL": "WARNING",
        }
        environment |= {"PERSIST_STATE": "1", "STATE_DIR": str(data)} if data is not None else {}
    return environment


def _data(name: str, folder: Path | None) -> Path | None:
    """Where in its folder an engine keeps data: each in a place of its own, since none reads another's."""
    if folder is None:
        return None
    data = folder / {"dynoxide": "dynoxide.db", "local": "dynamodb-local"}.get(name, name)
    (folder if name == "dynoxide" else data).mkdir(parents=True, exist_ok=True)
    return data


def _arguments(name: str, port: int, data: Path | None) -> list[str]:
    match name:
        case "dynoxide":
            at = ["--db-path", str(data)] if data is not None else []
            return ["serve", "--host", "127.0.0.1", "--port", str(port), "--log", "quiet", *at]
        case "local":
            at = ["-dbPath", str(data)] if data is not None else ["-inMemory"]
            # -sharedDb: else every pair of access key and region sees tables of its own.
            return ["-port", str(port), "-sharedDb", "-disableTelemetry", *at]
        case "moto":
            return ["-H", "127.0.0.1", "-p", str(port)]
        case _:
            return []  # ministack takes its settings from the environment


def _answers(request: urllib.request.Request) -> bool:
    """Whether the server says yes; asked directly, whatever proxy the caller has."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=2) as answer:  # on loopback; a busy start is asked again
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def _list_tables(port: int) -> urllib.request.Request:
    """DynamoDB's cheapest call. Engines want to see a signature and do not check it."""
    scope = "Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
    headers = {
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
        "X-Amz-Date": "20260101T000000Z",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": f"AWS4-HMAC-SHA256 {scope}",
    }
    return urllib.request.Request(f"http://127.0.0.1:{port}", data=b"{}", headers=headers)


def _memory_disk() -> Path | None:
    """A new folder in memory, so that dynoxide has a file to index; None where there is none, as on macOS."""
    memory = Path("/dev/shm")
    try:
        if shutil.disk_usage(memory).free >= _MEMORY_DISK_BYTES:
            return Path(tempfile.mkdtemp(prefix="reindexer-", dir=memory))
    except OSError:
        pass
    return None
