"""How numbers are written for people: in the terminal, the Web UI, and messages."""

from __future__ import annotations


def count(number: float) -> str:
    """34,006"""
    return f"{number:,.0f}"


def some(number: int, one: str, many: str = "") -> str:
    """1 record, 2 records"""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def per_second(number: float) -> str:
    """10,627/s; below ten with a decimal, since 0/s would look like a halt."""
    return f"{number:,.1f}/s" if 0 < number < 10 else f"{number:,.0f}/s"


def duration(seconds: float) -> str:
    """3.2 s, 1 min 05 s, 2 h 05 min, 3 d 04 h"""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:  # a day
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02d} h"


def size(volume: int) -> str:
    """1.5 GB, in powers of 1,000 as DynamoDB's prices are."""
    number = float(volume)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
