"""Sharing a job's budgets among its shards: the sum of what was granted never exceeds the budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Limits, Share

#: A shard that used less than this part of its share has no need of all of it.
_SATED = 0.8
#: What a sated shard keeps of what it used, so that it can grow back; above 1/_SATED, or it would look hungry.
_HEADROOM = 1.5
#: The least a sated shard keeps of an equal share, so that new hunger can show.
_MIN_PART = 0.1
#: A share is only sent again when it changes by more than this part: each change ends a round.
_WORTH_TELLING = 0.25

#: Field of a share → fields of the limits, of which a job has one.
_BUDGETS = {
    "read_units": ("read_units_per_second",),
    "write_units": ("write_units_per_second", "bytes_per_second"),  # what the destination counts in
    "records": ("records_per_second",),
    "other_read_units": ("other_read_units_per_second",),
}


@dataclass
class Grant:
    """One shard's share as last sent, and what it used per second since (None: not known yet)."""

    share: Share
    used: Mapping[str, float] | None = None


def limited(limits: Limits) -> bool:
    """Whether any budget is in force."""
    return any(_rate(limits, name) is not None for name in _BUDGETS)


def opening(limits: Limits, slots: int, granted: Iterable[Share]) -> Share:
    """The share of a shard that begins: an equal part, or what the others have left of it."""
    held = list(granted)
    shares: dict[str, float | None] = {}
    for name in _BUDGETS:
        rate = _rate(limits, name)
        if rate is None:
            shares[name] = None
            continue
        equal = rate / max(1, slots)
        free = rate - sum(getattr(share, name) or 0.0 for share in held)
        # A grown neighbour gives its surplus back with the next sharing; a hundredth keeps the bucket turning.
        shares[name] = max(min(equal, free), equal * 0.01)
    return Share(**shares)


def redistribute(limits: Limits, grants: Mapping[int, Grant], slots: int) -> dict[int, Share]:
    """New shares for the open shards: what sated ones do not use goes to the hungry ones.

    `slots`: shards that work at the same time, those still to begin included; their parts stay reserved.
    A share grows only into what the others have already given back, so that the sum holds at any moment;
    the rest follows with the next sharing. Only changes worth a signal are returned.
    """
    columns = {name: _column(_rate(limits, name), name, grants, slots) for name in _BUDGETS}
    shares = {index: Share(**{name: columns[name][index] for name in _BUDGETS}) for index in grants}
    return {
        index: share
        for index, share in shares.items()
        if any(_differs(getattr(share, n), getattr(grants[index].share, n)) for n in _BUDGETS)
    }


def _column(rate: float | None, name: str, grants: Mapping[int, Grant], slots: int) -> dict[int, float | None]:
    """One budget's new shares."""
    if rate is None or not grants:
        return dict.fromkeys(grants)
    equal = rate / max(slots, len(grants))
    budget = equal * len(grants)
    had = {index: getattr(grant.share, name) or equal for index, grant in grants.items()}
    wanted: dict[int, float] = {}
    for index, grant in grants.items():
        used = None if grant.used is None else grant.used.get(name, 0.0)
        if used is not None and used < _SATED * had[index]:
            wanted[index] = min(equal, max(used * _HEADROOM, equal * _MIN_PART))
    hungry = [index for index in grants if index not in wanted]
    for index in hungry:
        wanted[index] = (budget - sum(w for i, w in wanted.items() if i not in hungry)) / len(hungry)
    growing = [index for index in grants if wanted[index] > had[index]]
    held = sum(had[index] for index in grants if index not in growing)
    free = max(0.0, budget - held - sum(had[index] for index in growing))
    asked = sum(wanted[index] - had[index] for index in growing)
    part = min(1.0, free / asked) if asked else 0.0
    return {
        index: had[index] + (wanted[index] - had[index]) * part if index in growing else wanted[index]
        for index in grants
    }


def _differs(new: float | None, old: float | None) -> bool:
    if new is None or old is None:
        return new is not old
    return abs(new - old) > _WORTH_TELLING * old


def _rate(limits: Limits, name: str) -> float | None:
    given = [getattr(limits, field) for field in _BUDGETS[name]]
    return next((float(value) for value in given if value not in (None, "unlimited")), None)
