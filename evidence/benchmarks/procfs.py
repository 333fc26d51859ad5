"""What the kernel knows of a process: CPU time, peak memory. Linux only."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")  # the unit of CPU time in /proc, a hundredth of a second as a rule
_UTIME, _STIME = 11, 12  # places in /proc/PID/stat, counted from behind the name in brackets


def cpu_seconds(*pids: int) -> float:
    """User and system time of these processes so far, all their threads included."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[_UTIME]) + int(fields[_STIME])
    return total / _TICKS


def peak_mb(*pids: int) -> float:
    """The highest resident memory any one of these processes ever had, in MB."""
    return max(_peak_kb(pid) for pid in pids) / 1024


def _peak_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {pid} has ended")
