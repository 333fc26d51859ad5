"""What each operation is given, and what it has to leave behind, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evidence.exactness.scenes import Item

_VERSION, _RUN = "reindexVersion", "reindexRun"
_STAYS_EACH = 10  # each tenth row is none of those that are to be deleted
_BARE_EACH = 20  # each twentieth row carries no stamp, where stamps are removed


@dataclass(frozen=True)
class Verb:
    """One operation of the matrix.

    `before` makes what it is about of a row. `after` is what becomes of that, without stamps; None: the row is
    gone. `outcome` is what the job has to say of it. `stamps`: whether the row carries the target afterwards.
    """

    name: str
    job: Mapping[str, Any]  # the job's input, besides the table
    before: Callable[[int], Item]
    after: Callable[[int], Item | None]
    outcome: Callable[[int], str] = lambda _number: "updated"
    stamps: bool = True
    deletes: bool = False  # whether it takes rows away
    #: Of the value that a write of a run sets in the run attribute, and sets once in a row's life; "": it sets
    #: none, and writes each row once.
    mark: str = "{run}"
    writes: int = 1  # per record
    pending: bool = False  # calls out for each record, which is written down in the file of `visit.py`

    def is_right(self, number: int, found: Item | None, rest: Item, version: int) -> bool:
        """Whether a row is what the operation leaves of it. `rest`: what the operation is not about."""
        wanted = self.after(number)
        if wanted is None or found is None:
            return wanted is found
        stamp = {_VERSION: {"N": str(version)}} if self.stamps else {}
        if not self.mark and _RUN in found:
            return False
        return {name: value for name, value in found.items() if name != _RUN} == {**rest, **wanted, **stamp}


def _bare(_number: int) -> Item:
    return {}


def _named(number: int) -> Item:
    return {"name": {"S": f"name of {number}"}}


def _shouted(number: int) -> Item:
    return {"name": {"S": f"NAME OF {number}"}, "times": {"N": "1"}}


def stays(number: int) -> bool:
    """Whether the deleting job leaves the row alone."""
    return number % _STAYS_EACH == 0


def _weed(number: int) -> Item:
    return {"goes": {"BOOL": not stays(number)}}


def _stamped(number: int) -> Item:
    return {} if number % _BARE_EACH == 0 else {_VERSION: {"N": "7"}, _RUN: {"S": "an-earlier-run"}}


TOUCH = Verb("touch", {"operation": {"kind": "touch"}}, before=_bare, after=_bare)
TRANSFORM = Verb(
    "transform", {"operation": {"kind": "transform", "job": "shout"}}, before=_named, after=_shouted
)
PROCESS = Verb(
    "process",
    {"operation": {"kind": "transform", "job": "visit"}},
    before=_named,
    after=_named,
    pending=True,
)
DELETE = Verb(
    "delete",
    {"operation": {"kind": "transform", "job": "weed"}, "allow_no_recovery": True},
    before=_weed,
    after=lambda number: _weed(number) if stays(number) else None,
    outcome=lambda number: "filtered" if stays(number) else "deleted",
    stamps=False,
    deletes=True,
    mark="{run}/delete",
    writes=2,  # the mark, then the delete
)
UNSTAMP = Verb(
    "unstamp",
    {"operation": {"kind": "unstamp"}, "allow_no_recovery": True},  # a second job names attributes of its own
    before=_stamped,
    after=_bare,
    outcome=lambda number: "updated" if _stamped(number) else "current",
    stamps=False,
    mark="",
)
