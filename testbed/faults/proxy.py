"""The fault proxy before DynamoDB, and its control from the process that started it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from testbed.faults.lineages.control import LineageControl
from testbed.faults.plan import FaultPlan
from testbed.faults.started import Control, started_proxy
from testbed.faults.truth import Truth


class FaultProxy:
    """A running proxy, seen from the process that started it. Its methods may be called from any thread."""

    def __init__(self, control: Control) -> None:
        self.endpoint_url, self.pid = control.endpoint_url, control.pid
        self._control = control.ask

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

    def lineages(self, stream_arn: str) -> LineageControl:
        """Serve a stream of the engine as shards that can be split, rolled and trimmed from here."""
        return LineageControl(lambda body: self._control("POST", "lineages", body), stream_arn)


@contextlib.contextmanager
def fault_proxy(
    target_url: str, plan: FaultPlan, *, port: int | None = None, logs: Path | None = None
) -> Iterator[FaultProxy]:
    """Run a proxy in a process of its own; it ends with the context, and also if this process is killed.

    `port` None takes a free one; `logs` is a folder for its log, None keeps none. Raises `ServerUnavailable` if
    the proxy does not come up, for instance because the port is taken.
    """
    with started_proxy("testbed.faults", target_url, port, logs) as control:
        proxy = FaultProxy(control)
        proxy.set_plan(plan)
        yield proxy
