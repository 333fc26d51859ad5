"""What a stored item says about a record: the one place where evidence becomes an outcome."""

from __future__ import annotations

from dataclasses import dataclass

from reindexer.dynamo.wire import Stamp
from reindexer.items import WireItem
from reindexer.models import Target
from reindexer.operations import verb_of
from reindexer.tally import Outcome


@dataclass(frozen=True, slots=True)
class WrongType:
    """The stored version is not a number: the condition would not protect it, so it is never written."""

    message: str


@dataclass(frozen=True, slots=True)
class Marked:
    """The first of a deletion's two writes was applied, by this run; the second was not."""


#: There is one of its kind.
MARKED = Marked()

#: The class of a record whose delete mark is gone, and why it is given up: to write it again, its version would
#: have to be lower.
MARK_OVERWRITTEN = "MarkOverwritten"
MARK_IS_GONE = "another writer replaced this run's delete mark by its own stamp: the record is not deleted"


def stamp_of(target: Target) -> Stamp:
    """The stamp that every write to the target carries."""
    return Stamp(target.attributes.version, target.attributes.run, target.version, target.stamp)


def evidence(stamp: Stamp, item: WireItem | None) -> Outcome | WrongType | Marked | None:
    """The state of an item against the target. None: below it, to be written.

    `item` None means that a consistent read, or a condition answered with the stored item, showed it gone.
    """
    if item is None:
        return Outcome.VANISHED
    try:
        stored = stamp.stored_version(item)
    except TypeError as error:
        return WrongType(str(error))
    if stored is None or stored < stamp.version:
        return None
    if stored > stamp.version:
        return Outcome.SUPERSEDED
    run = item.get(stamp.run_attribute)
    if run == stamp.run_value:
        return Outcome.UPDATED
    return MARKED if run == stamp.mark_value else Outcome.CURRENT


def carries(stamp: Stamp, item: WireItem) -> bool:
    """Whether the item carries either of the two attributes, of whatever run and type."""
    return stamp.version_attribute in item or stamp.run_attribute in item


def shows_change(target: Target, item: WireItem) -> bool:
    """Whether an item to which this run has sent a write is as that write leaves it."""
    stamp = stamp_of(target)
    if verb_of(target.operation).stamps:
        return evidence(stamp, item) is Outcome.UPDATED
    return not carries(stamp, item)
