"""An estimate for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import DIM, facts
from reindexer.planning.estimate import Estimate, OtherReads
from reindexer.planning.estimate_following import Following
from reindexer.words import count, duration, size, some


def estimate_text(found: Estimate) -> RenderableType:
    """Units, duration, Actions and dollars, and what they leave out."""
    return Group(facts(_rows(found)), Text(), *(Text(f"! {note}", DIM) for note in found.notes))


def _rows(found: Estimate) -> Iterator[tuple[str, str]]:
    dollars, actions = found.dollars, found.actions
    yield "table", f"{found.table}, {some(found.items, 'item')}, {size(found.size_bytes)}, {_bytes(found)}"
    if found.operation == "replicate" and found.other is not None:
        yield from _copied(found, found.other)
    elif found.other is not None:
        yield from _of_two(found, found.other)
    elif found.operation == "index":
        yield from _read_only(found)
    else:
        yield from _written(found)
    yield (
        "Temporal",
        (
            f"{some(found.actions_total, 'Action')}: {count(actions.heartbeats)} heartbeats, "
            f"{count(actions.rounds)} of rounds, {count(actions.shards)} of {found.shards} shards, "
            f"{count(actions.looks + actions.job)} of the job; "
            f"${dollars['temporal_cloud']:,.2f} on Temporal Cloud"
        ),
    )
    if found.following is not None:
        yield from _following(found.following)
    prices = found.prices
    yield (
        "prices",
        (
            f"${prices.write_units:.3g} and ${prices.read_units:.3g} a million write and read units, "
            f"${prices.actions:.3g} a million Actions"
        ),
    )


def _writes(found: Estimate) -> Iterator[tuple[str, str]]:
    yield (
        "writes",
        f"{count(found.write_units)} units, {round(found.write_units_per_record, 2):g} a record"
        f" (at most {count(found.write_units_at_most)}), ${found.dollars['write']:,.2f}",
    )
    for index in found.indexes:
        yield "", f"of these {round(index.units, 2):g} a record for index {index.name}: {index.why}"


def _written(found: Estimate) -> Iterator[tuple[str, str]]:
    dollars, limits = found.dollars, found.limits
    yield from _writes(found)
    if found.ledger_write_units:
        yield (
            "",
            f"and {count(found.ledger_write_units)} of the ledger, at the same price and in the sum",
        )
    yield (
        "reads",
        f"{count(found.read_units)} units, verification {count(found.verify_units)}, ${dollars['read']:,.2f}",
    )
    rates = _rate(limits.read_units_per_second), _rate(limits.write_units_per_second)
    yield "limits", f"read {rates[0]}, write {rates[1]}"
    work, verification = duration(found.work_seconds), duration(found.verify_seconds)
    yield "duration", f"{work}, limited by {found.bound}; verification {verification}"


def _read_only(found: Estimate) -> Iterator[tuple[str, str]]:
    """An index: the table is read once, consistently."""
    yield "writes", "none, of the table"
    yield "reads", f"{count(found.read_units)} units, ${found.dollars['read']:,.2f}"
    limit = found.limits.bytes_per_second
    sent = f", documents {size(int(limit))}/s" if isinstance(limit, float | int) else ""
    yield "limits", f"read {_rate(found.limits.read_units_per_second)}{sent}"
    yield "duration", f"{duration(found.work_seconds)}, limited by {found.bound}"


def _of_two(found: Estimate, other: OtherReads) -> Iterator[tuple[str, str]]:
    """A comparison, or a repair, which writes to the other table besides."""
    limits, repairs = found.limits, found.operation == "repair"
    yield "with", f"{other.table}, {some(other.items, 'item')}, {size(other.size_bytes)}"
    if repairs:
        yield "differing", some(found.records, "key")
        yield from _writes(found)
    units = f"{count(found.read_units)} units, of the other table {count(other.read_units)}"
    yield "reads", f"{units}, ${found.dollars['read']:,.2f}"
    rates = _rate(limits.read_units_per_second), _rate(limits.other_read_units_per_second)
    write = f", write {_rate(limits.write_units_per_second)}" if repairs else ""
    yield "limits", f"read {rates[0]}, of the other table {rates[1]}{write}"
    yield "duration", f"{duration(found.work_seconds)}, limited by {found.bound}"


def _copied(found: Estimate, other: OtherReads) -> Iterator[tuple[str, str]]:
    """A replica, which is filled."""
    made = " (made as the table is)" if other.table == found.table else ""
    yield "to", f"{'a replica' if made else other.table}{made}"
    yield from _writes(found)
    yield "reads", f"{count(found.read_units)} units, ${found.dollars['read']:,.2f}"
    rates = _rate(found.limits.read_units_per_second), _rate(found.limits.write_units_per_second)
    yield "limits", f"read {rates[0]}, write {rates[1]} there"
    yield "duration", f"{duration(found.work_seconds)}, limited by {found.bound}"


def _following(found: Following) -> Iterator[tuple[str, str]]:
    """What carrying changes costs, with `--follow`."""
    dollars = found.dollars
    yield (
        "following",
        f"a day: {count(found.stream_reads)} stream reads a stream shard, ${dollars['stream_reads']:,.2f}; "
        f"{count(found.actions)} Actions at rest, ${dollars['temporal_cloud']:,.2f}",
    )
    if found.write_units:
        yield "", f"a million changes: {count(found.write_units)} write units there, ${dollars['write']:,.2f}"
    if found.changes is not None:
        yield "", f"a day of {some(found.changes, 'change')}: ${dollars['day']:,.2f}"


def _bytes(found: Estimate) -> str:
    return f"{count(found.item_bytes)} bytes on average"


def _rate(limit: float | str | None) -> str:
    return f"{limit:g}/s" if isinstance(limit, float | int) else "unlimited"
