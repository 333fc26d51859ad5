"""Commands as a user runs them: side by side, to their end, with the time and memory that they took."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """What a command ended with."""

    code: int
    output: str
    error: str


class Took(NamedTuple):
    """`seconds` from the first start to the last end, `cpu` seconds of all, `peak_mb` of the largest."""

    seconds: float
    cpu: float
    peak_mb: float


def run_commands(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> tuple[list[Ended], Took]:
    """All of them at once, in the checkout. Their output goes through files: pipes would hold them up."""
    with tempfile.TemporaryDirectory() as folder:
        files = [(Path(folder) / f"{n}.out", Path(folder) / f"{n}.err") for n in range(len(commands))]
        began, running = time.monotonic(), []
        for arguments, (out, err) in zip(commands, files, strict=True):
            with out.open("w") as stdout, err.open("w") as stderr:
                running.append(
                    subprocess.Popen(arguments, cwd=_ROOT, env=environment, stdout=stdout, stderr=stderr)
                )
        waited = [os.wait4(process.pid, 0) for process in running]
        seconds = time.monotonic() - began
        ended = []
        for process, (_, status, _), (out, err) in zip(running, waited, files, strict=True):
            process.returncode = os.waitstatus_to_exitcode(status)  # waited for here, and not by itself
            ended.append(Ended(process.returncode, out.read_text(), err.read_text()))
    cpu = sum(usage.ru_utime + usage.ru_stime for _, _, usage in waited)
    return ended, Took(seconds, cpu, max(usage.ru_maxrss for _, _, usage in waited) / 1024)  # KB on Linux
