"""A program with processes as worker.py's, which do nothing until they are asked to end."""

from __future__ import annotations

import os
import signal

from supervisor import supervise


def sleep() -> None:
    """The body of each process."""
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    from tests import sleepers

    supervise(sleepers.sleep, int(os.environ["REINDEXER_PROCESSES"]))
