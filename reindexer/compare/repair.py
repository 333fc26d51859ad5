"""What makes a row of the other table equal to the table's own: pure, from both as they were read."""

from __future__ import annotations

from collections.abc import Callable, Collection

from reindexer.compare.rows import Rules
from reindexer.items import GONE, NAMES, ORDER, WireItem, Write
from reindexer.values import same

#: Attributes that one write compares: DynamoDB takes 300 operators and 4 KB in a condition, and each takes two
#: operators and some 16 characters.
_MAX_ATTRIBUTES = 100


def needed(
    first: WireItem | None,
    other: WireItem | None,
    rules: Rules,
    keys: Collection[str],
    present: Callable[[WireItem], bool],
) -> Write | None:
    """The write that makes `other` equal to `first`; None: they are. `present`: whether a row counts as there.

    It is refused where an attribute that it changes is not what it was when it was read. What is left out of
    comparisons is neither copied nor removed, unless the whole item goes. An attribute that another writer adds
    to an item between its read and its deletion goes with it. An item with more attributes than one write can
    compare is changed by several; one that is to be removed first loses those that its deletion cannot compare.
    """
    wanted = rules.content(first) if first is not None and present(first) else None
    if other is None:
        if wanted is None:
            return None
        return Write(sets=_without(wanted, keys), bare=True, create=True)
    if wanted is None:
        if not present(other):  # TTL, or whoever keeps tombstones, removes it
            return None
        return _removal(_without(other, keys))
    has = rules.content(other)
    sets = {name: value for name, value in wanted.items() if name not in has or not same(value, has[name])}
    removes = [name for name in has if name not in wanted]
    if GONE in other:
        removes.append(GONE)
    if not sets and not removes:
        return None
    order = [ORDER] if ORDER in other else []
    # Whoever made it differ may have added attributes: a later follow is not to rely on what its digest says.
    untrue = [NAMES] if NAMES in other else []
    write: Write | None = None
    for some in reversed(_parts([*untrue, *sets, *removes])):  # that first; the mark of a deletion goes last
        write = Write(
            sets={name: sets[name] for name in some if name in sets},
            removes=tuple(name for name in some if name not in sets),
            guards={name: other.get(name) for name in (*some, *order)},
            bare=True,
            revives=not present(other),
            rest=write,
        )
    return write


def _removal(item: WireItem) -> Write:
    *before, last = _parts(list(item)) or [[]]
    write = Write(guards={name: item[name] for name in last}, delete=True, bare=True)
    for some in reversed(before):
        guards = {name: item[name] for name in some}
        write = Write(removes=tuple(some), guards=guards, bare=True, rest=write)
    return write


def _parts(names: list[str]) -> list[list[str]]:
    return [names[start : start + _MAX_ATTRIBUTES] for start in range(0, len(names), _MAX_ATTRIBUTES)]


def _without(item: WireItem, keys: Collection[str]) -> WireItem:
    return {name: value for name, value in item.items() if name not in keys}
