"""The fault proxy before OpenSearch, and its control from the process that started it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from testbed.faults.search.plan import SearchFaultPlan
from testbed.faults.search.truth import SearchTruth
from testbed.faults.started import Control, started_proxy


class SearchFaultProxy:
    """A running proxy, seen from the process that started it. Its methods may be called from any thread."""

    def __init__(self, control: Control) -> None:
        self.endpoint_url, self.pid = control.endpoint_url, control.pid
        self._control = control.ask

    def set_plan(self, plan: SearchFaultPlan) -> None:
        """Switch to another plan; its draws begin, the truth goes on. Requests under way are not affected."""
        self._control("PUT", "plan", plan.model_dump_json().encode())

    def truth(self, wait: float = 0) -> SearchTruth:
        """What happened so far. Waits up to `wait` seconds until nothing, late writes included, is pending."""
        until = time.monotonic() + wait
        while True:
            truth = SearchTruth.model_validate_json(self._control("GET", "truth"))
            if not truth.pending or time.monotonic() >= until:
                return truth
            time.sleep(0.05)  # seconds; short against any late write

    def reset(self) -> None:
        """Forget the truth, begin the plan's draws again, drop late writes that were not yet forwarded."""
        self._control("POST", "reset")


@contextlib.contextmanager
def search_fault_proxy(
    target_url: str, plan: SearchFaultPlan, *, port: int | None = None, logs: Path | None = None
) -> Iterator[SearchFaultProxy]:
    """Run a proxy in a process of its own; it ends with the context, and also if this process is killed.

    `port` None takes a free one; `logs` is a folder for its log, None keeps none. Raises `ServerUnavailable` if
    the proxy does not come up, for instance because the port is taken.
    """
    with started_proxy("testbed.faults.search", target_url, port, logs) as control:
        proxy = SearchFaultProxy(control)
        proxy.set_plan(plan)
        yield proxy
