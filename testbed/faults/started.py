"""A fault proxy as a process of its own, and the way to its control from the process that started it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from testbed.faults.connections import CONTROL
from testbed.processes import Process, free_port, listening

_CONTROL_WAIT = 60.0  # seconds; the longest is recreating a table, which gives up after half of it each way
_START_WAIT = 30.0  # seconds; it takes half of one, but several on a machine that is busy with other servers
_CHECKOUT = Path(__file__).resolve().parent.parent.parent  # where `testbed` can be imported from


class Control:
    """The control of the proxy on this port. May be used from any thread."""

    def __init__(self, port: int, pid: int) -> None:
        self.endpoint_url, self.pid = f"http://127.0.0.1:{port}", pid

    def ask(self, method: str, action: str, body: bytes | None = None) -> bytes:
        """Ask the proxy something. Raises `RuntimeError` with its words if it refuses."""
        request = urllib.request.Request(f"{self.endpoint_url}{CONTROL}{action}", body, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says
        try:
            with opener.open(request, timeout=_CONTROL_WAIT) as response:
                answer: bytes = response.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"fault proxy: {action}: {error.read().decode(errors='replace')}") from error
        return answer


@contextlib.contextmanager
def started_proxy(module: str, target_url: str, port: int | None, logs: Path | None) -> Iterator[Control]:
    """Run `python -m module` as a proxy; it ends with the context, and also if this process is killed.

    `port` None takes a free one; `logs` is a folder for its log, None keeps none. Raises `ServerUnavailable` if
    the proxy does not come up, for instance because the port is taken.
    """
    port = port or free_port()
    command = [sys.executable, "-m", module, "--target", target_url, "--port", str(port)]
    path = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
    with (
        tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as scratch,
        Process(
            "the fault proxy",
            command,
            port=port,
            log=(logs or Path(scratch)) / f"{module.removeprefix('testbed.')}.log",
            environment={**os.environ, "PYTHONPATH": path},
            answers=lambda: listening(port),
            patience=_START_WAIT,
            grace=0,  # it has nothing to save
            scratch=Path(scratch),  # so that it goes away also if we are killed
        ) as process,
    ):
        yield Control(port, process.pid)
