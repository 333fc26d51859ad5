"""DynamoDB engines on this machine."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from testbed.obtain import find, obtain, obtainable
from testbed.processes import GRACE_SECONDS, PATIENCE_SECONDS, Process, ServerUnavailable, free_port
from testbed.surroundings import CREDENTIALS, answers, without_caller

#: Fastest first; `auto` takes one of the first two, moto lacks PartiQL.
_ENGINES = ("dynoxide", "ministack", "local", "moto")
#: Docker gives containers 64 MB of memory disk, which a demo's table and stream fill: less than this is no use.
_MEMORY_DISK_BYTES = 1 << 30


@dataclass(frozen=True)
class Engine:
    """A running DynamoDB engine. `how` says where it came from.

    `streams_at_speed`: a table with a stream takes writes about as fast. `supports_partiql`: conditional
    batches work. `streams_partiql`: they reach the stream. `durable`: what was written outlives
    `process.restart()`. `database` is where it keeps its data, None in the server's own memory.
    """

    name: str
    endpoint_url: str
    how: str
    streams_at_speed: bool
    supports_partiql: bool
    streams_partiql: bool
    durable: bool
    database: Path | None
    process: Process = field(repr=False)

    @property
    def pid(self) -> int:
        """Process id of the engine; a restart changes it."""
        return self.process.pid


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
    scratch = _scratch() if name == "dynoxide" and database is None else None
    data = _data(name, database or scratch)
    process = Process(
        name,
        [*obtained.command, *_arguments(name, port, data)],
        port=port,
        log=logs / f"{name}.log",
        environment=_environment(name, port, data),
        answers=lambda: answers(_list_tables(port)),
        patience=PATIENCE_SECONDS,
        # ministack removes a file from the system's temporary folder; the others have nothing to lose.
        grace=GRACE_SECONDS if database is not None or name == "ministack" else 0,
        scratch=scratch,
    )
    durable = data is not None and name != "ministack"  # which writes its data down only when asked to stop
    endpoint = f"http://127.0.0.1:{port}"
    with process:
        engine = Engine(
            name,
            endpoint,
            obtained.how,
            streams_at_speed=name != "local",  # 145 writes/s at 20,000 records
            supports_partiql=name != "moto",
            streams_partiql=name in ("dynoxide", "local"),
            durable=durable,
            database=data,
            process=process,
        )
        cure_stream_index(engine)
        yield engine


def available_engines() -> list[str]:
    """The engines to be had here, fastest first: present, or obtainable with the tools on PATH."""
    return [name for name in _ENGINES if obtainable(name)]


def cure_stream_index(engine: Engine) -> bool:
    """Give dynoxide's database the index its streams lack; False where there is none to give it to.

    Without it every write to a table with a stream reads all of the stream. `dynamodb_engine` does it already.
    """
    # In the engine's own spelling, upper case: SQLite uses an index on a CAST for the very same letters only.
    return _index(engine, "_stream_records", "table_name, CAST(sequence_number AS INTEGER)")


def cure_parallel_scans(engine: Engine, table: str) -> bool:
    """Give a table in dynoxide's database the index its parallel scans lack; False as above.

    Without it every page of a segment reads the whole table: 120,000 records are reindexed a tenth slower.
    """
    return _index(engine, table, "hash_prefix, pk, sk")  # the order in which it hands out a segment


def _index(engine: Engine, table: str, columns: str) -> bool:
    if engine.name != "dynoxide" or engine.database is None:
        return False
    name = f"reindexer_{table.lstrip('_')}"
    with closing(sqlite3.connect(engine.database, timeout=PATIENCE_SECONDS)) as connection, connection:
        connection.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON "{table}" ({columns})')
    return True


def _environment(name: str, port: int, data: Path | None) -> dict[str, str]:
    environment = {**without_caller(), **CREDENTIALS}
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


def _scratch() -> Path:
    """A new folder, in memory where there is room: dynoxide's data has to be in a file to be indexed."""
    memory = Path("/dev/shm")  # which macOS has not
    with suppress(OSError):
        if shutil.disk_usage(memory).free >= _MEMORY_DISK_BYTES:
            return Path(tempfile.mkdtemp(prefix="reindexer-", dir=memory))
    return Path(tempfile.mkdtemp(prefix="reindexer-"))
