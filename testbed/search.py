"""OpenSearch on this machine: one node on loopback, without security, over plain HTTP."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testbed.obtain import obtain
from testbed.processes import GRACE_SECONDS, PATIENCE_SECONDS, Process, free_port
from testbed.surroundings import answers, without_caller

_ANSWER_SECONDS = 60.0  # it takes a fraction of one
_SETTINGS = {
    "network.host": "127.0.0.1",
    "transport.port": "0",  # there is no other node to find it
    "discovery.type": "single-node",
    # A disk that is nearly full would make indexes read-only in the middle of a test.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
}


class SearchServer:
    """OpenSearch, started and ended by `with`. Inside, `stop` and `kill` end it, and `restart` brings it back.

    `name` is `opensearch` or `opensearch-2`. Without the folder `data` what it holds is gone at the end.
    `settings` are OpenSearch's own, such as `thread_pool.write.queue_size`. `quick` halves the CPU of a start
    and makes it slower under load: False where its speed is measured. Entering may get the server first, see
    `obtain`. Raises `ServerUnavailable`.
    """

    def __init__(
        self,
        name: str = "opensearch",
        *,
        logs: Path,
        data: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        quick: bool = True,
    ) -> None:
        self.name, self.port = name, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.how = ""  # where it came from; known once it runs
        self._logs, self._data = logs, data
        self._jvm = ["-XX:TieredStopAtLevel=1"] if quick else []  # without the compiler that optimizes
        self._settings = {**_SETTINGS, "http.port": str(self.port), **(settings or {})}
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Its process id; a restart changes it. Raises `ProcessLookupError` while it is down."""
        return self._running().pid

    def stop(self) -> None:
        """End it in good order, with SIGTERM, and return once it is gone."""
        self._running().end()

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL, and return once it is gone."""
        self._running().kill()

    def restart(self) -> None:
        """Start it again, stopped first if it runs: the same data, the same port. Returns once it answers."""
        self.stop()
        self._running().start()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request, and its answer. Raises urllib's errors."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{self.url}{path}", content, headers, method=method)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says
        with direct.open(asked, timeout=_ANSWER_SECONDS) as answer:
            return json.loads(answer.read())

    def _running(self) -> Process:
        if self._process is None:
            raise ProcessLookupError(f"{self.name} is not running")
        return self._process

    def __enter__(self) -> Self:
        obtained = obtain(self.name)
        java, *arguments = obtained.command
        self.how = obtained.how
        scratch = Path(tempfile.mkdtemp(prefix="reindexer-search-")) if self._data is None else None
        settings = [f"{name}={value}" for name, value in self._settings.items()]
        health = urllib.request.Request(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s")
        process = Process(
            self.name,
            [java, *self._jvm, *arguments, str(scratch or self._data), *settings],
            port=self.port,
            log=self._logs / f"{self.name}.log",
            environment=without_caller(),
            answers=lambda: answers(health),
            patience=2 * PATIENCE_SECONDS,  # it takes 5 s of two cores: more than any other server
            grace=GRACE_SECONDS,
            scratch=scratch,
        )
        try:
            self._process = process.__enter__()
        except BaseException:
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running()
        if self._data is None:  # nothing to write down
            process.kill()
        self._process = None
        process.stop()
