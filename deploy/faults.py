"""A proxy that stands between boto3 and a DynamoDB engine, injects faults, and keeps the truth about them.

    python -m deploy.faults --target http://127.0.0.1:8000 --port 8001 --plan plan.json

    with fault_proxy("http://127.0.0.1:8000", FaultPlan.mixed(0.1)) as proxy:
        …  # AWS_ENDPOINT_URL_DYNAMODB = proxy.endpoint_url
        assert not proxy.truth().changed_twice(run)

Loopback only, and only for engines that do not check signatures.
"""

from __future__ import annotations

import argparse
import asyncio
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
from pydantic import ValidationError

from deploy.fault_plan import Fault, FaultKind, FaultPlan
from deploy.fault_requests import key_text
from deploy.fault_truth import KeyTruth, Truth
from deploy.processes import Process, free_port, listening

__all__ = ["Fault", "FaultKind", "FaultPlan", "FaultProxy", "KeyTruth", "Truth", "fault_proxy", "key_text"]

_CONTROL_WAIT = 60.0  # seconds; the longest is recreating a table, which gives up after half of it each way
_START_WAIT = 30.0  # seconds; it takes half of one, but several on a machine that is busy with other servers
_CHECKOUT = Path(__file__).resolve().parent.parent  # where `deploy` can be imported from
_PURPOSE = "A proxy in front of a DynamoDB engine that injects faults and keeps the truth about them."


class FaultProxy:
    """A running proxy, seen from the process that started it. Its methods may be called from any thread."""

    def __init__(self, port: int, pid: int) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.pid = pid

    def set_plan(self, plan: FaultPlan) -> None:
        """Switch to another plan; its draws begin anew, the truth goes on. Calls under way are not affected."""
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
        """Forget the truth, begin the plan's draws anew, drop late writes that were not yet forwarded."""
        self._control("POST", "reset")

    def recreate_table(self, name: str) -> None:
        """Delete the table on the engine and make it anew: empty, same schema, another TableId.

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
    command = [sys.executable, "-m", "deploy.faults", "--target", target_url, "--port", str(port)]
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


def main() -> None:
    """The command line: serve until stopped."""
    from deploy.fault_server import serve  # not needed by those who only start the process

    parser = argparse.ArgumentParser(prog="python -m deploy.faults", description=_PURPOSE)
    parser.add_argument("--target", required=True, help="the engine, e.g. http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, default=8001, help="on 127.0.0.1 (default: %(default)s)")
    parser.add_argument("--plan", type=Path, help="a FaultPlan as JSON; none: no faults, only the truth")
    options = parser.parse_args()
    try:
        plan = FaultPlan.model_validate_json(options.plan.read_bytes()) if options.plan else FaultPlan()
        asyncio.run(serve(options.target, options.port, plan))
    except (ValidationError, OSError) as error:  # a plan that is wrong or missing, a port that is taken
        parser.exit(2, f"{parser.prog}: {error}\n")  # 2: bad input, as everywhere
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
