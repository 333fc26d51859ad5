"""worker.py on a machine whose clock is 20 minutes ahead, and the check of signatures that such a one fails."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import botocore.auth

from supervisor import supervise

AHEAD = timedelta(minutes=20)
#: What AWS bears: a signature of 5 minutes before or after its own time.
_BORNE = timedelta(minutes=5)
#: Runs these workers; see `testbed.workers.Workers`.
PROGRAM = ("-c", "from tests import skewed; skewed.main()")


def main() -> None:
    """Four processes: each loses a round and pauses longer each time, and a job parks after ten."""
    supervise(one_process, 4)


def one_process() -> None:
    """The body of each process."""
    signing: Any = botocore.auth  # the stubs leave the function out
    now, seconds = signing.get_current_datetime, time.time
    signing.get_current_datetime = lambda *how, **more: now(*how, **more) + AHEAD
    time.time = lambda: seconds() + AHEAD.total_seconds()
    import worker

    worker.one_process()


class _Checked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target = ""

    def do_POST(self) -> None:
        """Refuse a signature of another time as AWS does; pass on everything else."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = datetime.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(signed - datetime.now(UTC)) > _BORNE:
            answer = (
                b'{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired"}'
            )
            return self._answer(400, {}, answer)
        connection = http.client.HTTPConnection(self.target, timeout=30)
        connection.request("POST", self.path, body, dict(self.headers))
        with connection.getresponse() as response:
            kept = {name: text for name, text in response.getheaders() if name.lower().startswith("x-amz")}
            self._answer(response.status, kept, response.read())
        return None

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)  # with the date
        for name, text in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def signatures_checked(endpoint_url: str) -> Iterator[str]:
    """The URL of a service that checks the time of signatures in front of another."""
    handler = type("_Handler", (_Checked,), {"target": urlsplit(endpoint_url).netloc})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
