"""What a command costs the account: read units by the engine's own account, counted on the way to it."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_READS = frozenset(("Scan", "Query", "GetItem", "BatchGetItem"))
_PATIENCE = 60.0  # seconds for an answer of the engine


class Meter:
    """Forwards a command's calls to the engine. `units`: of reads of `tables`, by table; `calls`: by operation.

    It asks the engine to say what each read consumed, whether the command asked or not.
    """

    def __init__(self, engine: str, tables: Sequence[str]) -> None:
        self.units: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._engine, self._tables = engine, frozenset(tables)
        self._lock = threading.Lock()

    def forward(
        self, operation: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of the engine's answer."""
        if operation in _READS:
            body = json.dumps({**json.loads(body), "ReturnConsumedCapacity": "TOTAL"}).encode()
        asked = urllib.request.Request(self._engine, data=body, headers=headers)
        try:
            answer = urllib.request.urlopen(asked, timeout=_PATIENCE)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
            if operation in _READS and answer.status == 200:
                self._count(operation, json.loads(content))
            return answer.status, dict(answer.headers), content

    def _count(self, operation: str, answer: dict[str, Any]) -> None:
        found = answer.get("ConsumedCapacity") or []
        with self._lock:
            for consumed in found if isinstance(found, list) else [found]:
                if consumed["TableName"] in self._tables:
                    self.units[consumed["TableName"]] += consumed["CapacityUnits"]
                    self.calls[operation] += 1


@contextmanager
def metered(engine: str, tables: Sequence[str]) -> Iterator[tuple[Meter, str]]:
    """A meter before the engine for the block, and the endpoint that commands are to use."""
    meter = Meter(engine, tables)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            kept = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            status, headers, content = meter.forward(operation, kept, body)
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() in _PASSED_BACK:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing for each call."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # a connection that a command leaves open does not hold up the end
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield meter, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


_PASSED_ON = ("Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Target")  # engines check no signature
_PASSED_BACK = frozenset(("content-type", "x-amz-crc32", "x-amzn-requestid"))
