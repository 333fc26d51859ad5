"""Servers on this machine: found or got, started, and gone afterwards, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from temporalio import workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from commands.running.downstream import Downstream
from testbed.cache import cache
from testbed.embedded import (
    Engine,
    ServerUnavailable,
    caller_free_environment,
    cure_stream_index,
    dynamodb_engine,
    temporal_server,
)
from testbed.obtain import find, obtain
from testbed.processes import Process, free_port, listening

ROOT = Path(__file__).parent.parent
ENGINES = ("dynoxide", "ministack", "local", "moto")
HERE = [name for name in (*ENGINES, "temporal", "test-server") if find(name) is not None]


def each(*names: str) -> pytest.MarkDecorator:
    """Runs a test for each of these servers, those that are not here skipped; slower engines at night."""
    marks = {name: [pytest.mark.skipif(name not in HERE, reason=f"{name} is not here")] for name in names}
    for name in marks.keys() & set(ENGINES[1:]):
        marks[name].append(pytest.mark.nightly)
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks[name]) for name in names])


needs_temporal = pytest.mark.skipif("temporal" not in HERE, reason="Temporal's server is not here")
needs_engine = pytest.mark.skipif(not {*ENGINES} & {*HERE}, reason="no engine is here")


def client(engine: Engine) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=engine.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )


def create_table(engine: Engine) -> None:
    client(engine).create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def listeners(pid: int) -> set[str]:
    """The addresses a process listens on, as the kernel writes them."""
    sockets = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()
    ]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, also as a Java server writes it


@pytest.mark.engines
class TestEngines:
    @each(*ENGINES)
    def test_an_engine_answers_here_alone_and_is_gone_after_the_block(self, name: str, tmp_path: Path) -> None:
        with dynamodb_engine(name, logs=tmp_path) as engine:
            assert client(engine).list_tables()["TableNames"] == []
            assert listeners(engine.pid) <= LOOPBACK
            pid = engine.pid
        assert not alive(pid)
        assert not listening(int(engine.endpoint_url.rpartition(":")[2]))
        assert engine.database is None or not engine.database.parent.exists()

    @needs_engine
    def test_it_is_gone_after_an_exception(self, tmp_path: Path) -> None:
        pids = []
        with contextlib.suppress(ZeroDivisionError), dynamodb_engine(HERE[0], logs=tmp_path) as engine:
            pids.append(engine.pid)
            raise ZeroDivisionError
        assert [alive(pid) for pid in pids] == [False]

    @each("dynoxide")
    def test_after_a_crash_it_comes_back_at_the_same_place_with_its_data(
        self, name: str, tmp_path: Path
    ) -> None:
        with dynamodb_engine(name, logs=tmp_path) as engine:
            create_table(engine)
            pid = engine.pid
            engine.process.restart()
            assert engine.pid != pid
            assert not alive(pid)
            assert client(engine).list_tables()["TableNames"] == ["things"]

    @each("dynoxide", "ministack")
    def test_a_database_is_there_the_next_time(self, name: str, tmp_path: Path) -> None:
        with dynamodb_engine(name, logs=tmp_path, database=tmp_path / "data") as engine:
            create_table(engine)
        with dynamodb_engine(name, logs=tmp_path, database=tmp_path / "data") as engine:
            assert client(engine).list_tables()["TableNames"] == ["things"]

    @each("dynoxide")
    def test_the_end_of_a_stream_is_found_by_an_index(self, name: str, tmp_path: Path) -> None:
        """Without it each write reads the whole stream."""
        with dynamodb_engine(name, logs=tmp_path, database=tmp_path) as engine:
            assert cure_stream_index(engine)  # again: no harm
            question = (
                "SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = 'things'"
            )
            assert engine.database is not None
            with contextlib.closing(sqlite3.connect(engine.database)) as connection:
                (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {question}").fetchall()
            assert "reindexer_stream" in plan[3]

    @each("dynoxide", "ministack", "local")
    def test_which_engine_streams_what_partiql_writes(self, name: str, tmp_path: Path) -> None:
        with dynamodb_engine(name, logs=tmp_path) as engine:
            create_table(engine)
            dynamodb = client(engine)
            dynamodb.put_item(TableName="things", Item={"id": {"S": "a"}})
            stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
            dynamodb.update_table(TableName="things", StreamSpecification=stream)
            arn = dynamodb.describe_table(TableName="things")["Table"]["LatestStreamArn"]
            statement = "UPDATE things SET reindexRun='r' WHERE id='a'"
            dynamodb.batch_execute_statement(Statements=[{"Statement": statement}])
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", engine.endpoint_url)
                with Downstream(arn, "reindexRun") as downstream:
                    seen = downstream.seen("r", 1)
            assert seen.events == int(engine.streams_partiql)

    @needs_engine
    def test_a_taken_port_is_refused_rather_than_shared(self, tmp_path: Path) -> None:
        with dynamodb_engine(HERE[0], logs=tmp_path) as engine:
            port = int(engine.endpoint_url.rpartition(":")[2])
            with (
                pytest.raises(ServerUnavailable, match="taken"),
                dynamodb_engine(HERE[0], logs=tmp_path, port=port),
            ):
                pass
            assert client(engine).list_tables()


@pytest.mark.stack
@needs_temporal
class TestTemporal:
    async def test_it_serves_and_is_gone_after_the_block(self, tmp_path: Path) -> None:
        with temporal_server(logs=tmp_path, search_attributes={"Colour": "Keyword"}) as server:
            assert await search_attributes(server.address) == {"Colour"}
            assert listeners(server.pid) <= LOOPBACK
            pid = server.pid
        assert not alive(pid)

    @pytest.mark.nightly
    async def test_a_database_outlives_a_crash_and_learns_new_search_attributes(
        self, tmp_path: Path, home: Path
    ) -> None:
        database = home / "temporal.db"
        with temporal_server(
            logs=tmp_path, database=database, search_attributes={"Colour": "Keyword"}
        ) as server:
            server.process.restart()
            assert await search_attributes(server.address) == {"Colour"}
        both = {"Colour": "Keyword", "Weight": "Int"}
        with temporal_server(logs=tmp_path, database=database, search_attributes=both) as server:
            assert await search_attributes(server.address) == {"Colour", "Weight"}
        assert not (home / "leak.db").exists()

    async def test_a_limit_can_be_lowered(self, tmp_path: Path) -> None:
        with temporal_server(logs=tmp_path, dynamic_config={"history.maximumSignalsPerExecution": 2}) as server:
            connected = await Client.connect(server.address)
            waiting = await connected.start_workflow("Unserved", id="unserved", task_queue="unserved")
            await waiting.signal("first")
            await waiting.signal("second")
            with pytest.raises(RPCError, match="limit for signal events"):
                await waiting.signal("third")

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A caller's home with settings of both styles that must not reach our server."""
        monkeypatch.setenv("REINDEXER_CACHE", str(cache()))
        monkeypatch.setenv("HOME", str(tmp_path))
        folder = tmp_path / ".config" / "temporalio"
        folder.mkdir(parents=True)
        (folder / "temporal.yaml").write_text(
            f"env: {{default: {{db-filename: {tmp_path}/leak.db, port: '1'}}}}\n"
        )
        (folder / "temporal.toml").write_text(
            '[profile.default]\naddress = "10.255.255.1:7233"\napi_key = "x"\n'
        )
        return tmp_path


async def search_attributes(address: str) -> set[str]:
    connected = await Client.connect(address)
    asked = ListSearchAttributesRequest(namespace="default")
    details = await connected.operator_service.list_search_attributes(asked)
    return {name for name in details.custom_attributes if not name.startswith("Temporal")}


@workflow.defn(sandboxed=False)  # the sandbox would load this file, and what it imports, once more
class Sleeper:
    @workflow.run
    async def run(self) -> str:
        started = workflow.now()
        await workflow.sleep(timedelta(days=1))
        return str((workflow.now() - started).days)


@pytest.mark.stack
@each("test-server")
async def test_the_test_server_skips_a_day(name: str) -> None:
    program = obtain(name).command[0]
    async with (
        await WorkflowEnvironment.start_time_skipping(test_server_existing_path=program) as environment,
        Worker(environment.client, task_queue="sleepers", workflows=[Sleeper]),
    ):
        slept = await environment.client.execute_workflow(Sleeper.run, id="sleeper", task_queue="sleepers")
    assert slept == "1"


@pytest.mark.engines
@needs_engine
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_outlives_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    parent = (
        "import sys, time; from pathlib import Path; from testbed.embedded import dynamodb_engine\n"
        f"with dynamodb_engine({HERE[0]!r}, logs=Path({str(tmp_path)!r})) as engine:\n"
        "    print(engine.pid, engine.database, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        assert running.stdout is not None
        pid, database = running.stdout.readline().split()
        assert alive(int(pid))
        running.send_signal(how)
    assert soon(lambda: not alive(int(pid)))
    assert soon(lambda: not Path(database).exists())  # nothing is left in memory either


class TestProcess:
    def process(self, script: str, log: Path, **changes: Any) -> Process:
        command = [sys.executable, "-c", script]
        settings = {"answers": lambda: False, "patience": 30, "grace": 0, "environment": os.environ, **changes}
        return Process("the server", command, port=free_port(), log=log, **settings)

    def test_one_that_ends_while_starting_is_shown_with_its_last_words(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        with (
            pytest.raises(ServerUnavailable, match=r"(?s)ended.*exit code 3.*out of luck") as error,
            self.process("print('out of luck'); raise SystemExit(3)", log),
        ):
            pass
        assert error.value.log == log

    def test_one_that_does_not_answer_in_time_is_ended(self, tmp_path: Path) -> None:
        script = (
            f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        )
        with (
            pytest.raises(ServerUnavailable, match="did not answer within 1 s"),
            self.process(script, tmp_path / "log", patience=1),
        ):
            pass
        assert not alive(int((tmp_path / "pid").read_text()))

    def test_what_a_server_started_ends_with_it(self, tmp_path: Path) -> None:
        script = (
            "import subprocess, time; child = subprocess.Popen(['sleep', '60'])\n"
            f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); time.sleep(60)"
        )
        written = tmp_path / "pid"
        with self.process(
            script, tmp_path / "log", answers=lambda: written.exists() and written.read_text() != ""
        ):
            child = int(written.read_text())
            assert alive(child)
        assert soon(lambda: not alive(child))

    def test_ports_are_free_and_never_the_same(self) -> None:
        ports = [free_port() for _ in range(50)]
        assert len(set(ports)) == 50
        assert not any(listening(port) for port in ports)


def test_the_callers_settings_do_not_reach_the_embedded_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_S3",
        "TEMPORAL_API_KEY",
        "TEMPORAL_PROFILE",
    ):
        monkeypatch.setenv(name, "the caller's")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the caller's")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "production:7233")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("UNRELATED", "kept")
    environment = caller_free_environment("http://127.0.0.1:8000", "127.0.0.1:7233")
    assert "the caller's" not in environment.values()
    assert environment["UNRELATED"] == "kept"
    assert environment["TEMPORAL_ADDRESS"] == "127.0.0.1:7233"
    assert (
        environment["AWS_ENDPOINT_URL_DYNAMODB"] == environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:8000"
    )
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert not Path(environment["TEMPORAL_CONFIG_FILE"]).exists()
    assert environment["NO_PROXY"] == "example.org,127.0.0.1,localhost"
