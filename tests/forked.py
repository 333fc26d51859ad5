"""worker.py with processes that are forked, not spawned: each begins with all that their parent has imported.

Tests start and kill some two hundred, and each import costs as much CPU as many a test. As users run it,
worker.py serves the matrix, the demo and the commands of the documents.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
from typing import Any

from testbed.workers import WORKER

#: What Python runs; see `testbed.workers.Workers`. macOS's own libraries do not survive a fork.
PROGRAM = WORKER if sys.platform == "darwin" else ("-c", "from tests import forked; forked.main()")


def main() -> None:
    """As worker.py's. Its parent has no threads, and starts nothing of Temporal's: that would not survive."""
    import worker
    from reindexer.jobs.catalogue import catalogue

    begun = worker.one_process

    def one_process() -> None:
        """The body of each process, which finds everything as if it had been spawned."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        logging.getLogger().handlers.clear()
        catalogue.cache_clear()  # a job's file may have been changed meanwhile
        begun()

    forking: Any = multiprocessing.get_context("fork")
    worker.one_process = one_process
    multiprocessing.get_context = lambda *_: forking
    worker.main()
