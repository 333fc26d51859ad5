"""The fault proxy as a process of its own, and its control from the process that started it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson

from testbed.faults.plan import FaultPlan
from testbed.faults.truth import Truth
from testbed.processes import Process, free_port, listening

_CONTROL_WAIT = 60.0  # seconds; the longest is recreating a table, which gives up after half of it each way
_START_WAIT = 30.0  # seconds; it takes half of one, but several on a machine that is busy with other servers
_CHECKOUT = Path(__file__).resolve().parent.parent.parent  # where `testbed` can be imported from


class FaultProxy:
    """A running proxy, seen from the process that started it. Its methods may be called from any thread."""

    def __init__(self, port: int, pid: int) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.pid = pid

    def set_plan(self, plan: FaultPlan) -> None:
        """Switch to another plan; its draws begin, the truth goes on. Calls under way are not affected."""
        self._control("PUT", "plan", plan.model_dump_json().encode())

    def truth(self, wait: float = 0) -> Truth:
        """What happened so far. Waits up to `wait` seconds until nothing, late writes included, is pending."""
        until = time.monotonic() + wait
        while True:
            truth = Truth.model_validate_json(self._control("GET", "truth"))
            if not truth.pending or time.monotonic() >= until:
                return truth
            time.sleep(0.05)  # seconds; short against any late write

    def reset(self) -> None:
        """Forget the truth, begin the plan's draws again, drop late writes that were not yet forwarded."""
        self._control("POST", "reset")

    def recreate_table(self, name: str) -> None:
        """Delete the table on the engine and create it again: empty, same schema, another TableId.

        Not carried over: tags, time to live, backups, policies, scaling. Raises `RuntimeError` if it failed.
        """
        self._control("POST", "recreate", orjson.dumps({"table": name}))

    def _control(self, method: str, action: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.endpoint_url}/_faults/{action}", body, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says
        try:
            with opener.open(request, timeout=_CONTROL_WAIT) as response:
                answer: bytes = response.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"fault proxy: {action}: {error.read().decode(errors='replace')}") from error
        return answer


@contextlib.contextmanager
def fault_proxy(
    target_url: str, plan: FaultPlan, *, port: int | None = None, logs: Path | None = None
) -> Iterator[FaultProxy]:
    """Run a proxy in a process of its own; it ends with the context, and also if this process is killed.

    `port` None takes a free one; `logs` is a folder for its log, None keeps none. Raises `ServerUnavailable` if
    the proxy does not come up, for instance because the port is taken.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "testbed.faults", "--target", target_url, "--port", str(port)]
    path = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
    with (
        tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as scratch,
        Process(
            "the fault proxy",
            command,
            port=port,
            log=(logs or Path(scratch)) / "faults.log",
            environment={**os.environ, "PYTHONPATH": path},
            answers=lambda: listening(port),
            patience=_START_WAIT,
            grace=0,  # it has nothing to save
            scratch=Path(scratch),  # so that it goes away also if we are killed
        ) as process,
    ):
        proxy = FaultProxy(port, process.pid)
        proxy.set_plan(plan)
        yield proxy
