"""How late a change is found at the destination by a follow that has caught up."""

from __future__ import annotations

import asyncio
import time
import uuid
from statistics import median, quantiles

from evidence.benchmarks.catching_up import BESIDE
from evidence.benchmarks.followed import Followed, Trickle
from evidence.benchmarks.measured import Floor, Section

_PROBES, _EVERY = 120, 0.25  # changes that are looked for, and seconds between two of them
_LOOK = 0.05  # seconds between two looks
_MEDIAN, _P99 = 2.0, 5.0  # seconds from a write until a reader finds it; of an index, refresh included


async def measure_tip(followed: Followed, found: Section) -> None:
    """Seconds from a write to the first look that finds it. Adds floors and a fact to the section."""
    wrote: dict[str, float] = {}
    numbers: dict[str, int] = {}
    late: list[float] = []

    async def look() -> None:
        while len(late) < _PROBES:
            if wrote:
                sought = {probe: numbers[probe] for probe in wrote}
                for probe in await asyncio.to_thread(followed.to.found, sought):
                    late.append(time.monotonic() - wrote.pop(probe))
            await asyncio.sleep(_LOOK)

    async with Trickle(followed, BESIDE), asyncio.timeout(_PROBES * _EVERY + 60):
        looking = asyncio.create_task(look())
        for number in range(_PROBES):
            probe = uuid.uuid4().hex
            numbers[probe] = number
            await asyncio.to_thread(followed.put, number, probe)
            wrote[probe] = time.monotonic()
            await asyncio.sleep(_EVERY)
        await looking
    middle, latest = median(late), quantiles(late, n=100)[98]
    found.floors += [
        Floor("seconds until a change is found, median", middle, _MEDIAN, at_least=False),
        Floor("seconds until a change is found, p99", latest, _P99, at_least=False),
    ]
    found.data["tip"] = {"median": middle, "p99": latest, "longest": max(late), "probes": len(late)}
    found.facts.append(f"a change is found {middle:.2f} s after its write (median; p99 {latest:.2f} s)")
