"""A program with processes as worker.py's: each notes that it began, and ends with an error at once."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from supervisor import supervise


def crash() -> None:
    """The body of each process: ends with the exit code that it is given."""
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{time.monotonic()}\n")
    sys.exit(int(os.environ["CODE"]))


if __name__ == "__main__":
    from tests import crashers

    supervise(crashers.crash, 1)
