"""What others have done to a copy, and a repair after it, never makes a later change leave the copy wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reindexer.compare.repair import needed
from reindexer.compare.rows import Rules
from reindexer.items import OF_COPIES, WireItem, Write
from reindexer.sinks.copies import order_in
from tests.test_copies import KEY, MARK, copies, made, put

pytestmark = pytest.mark.unit

_RULES = Rules((), ())


def _bodies(first: int) -> st.SearchStrategy[WireItem]:
    values = st.builds(lambda n: {"N": str(n)}, st.integers(first, first + 3))
    return st.dictionaries(st.sampled_from("abc"), values, max_size=3)


#: Of the record, or of its copy by others: its attributes from now on; None: it is gone. Others never hit by
#: chance upon all that the record has: a repair would find nothing to do, and take no notice of the copy.
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), _bodies(0) | st.none()),
        st.tuples(st.just("others"), _bodies(10) | st.none()),
        st.tuples(st.sampled_from(("carry", "carry", "repair")), st.none()),
    ),
    max_size=12,
)


@dataclass
class _Record:
    """One record and its copy. `carried`: changes of which the copy has heard."""

    now: WireItem | None = field(default_factory=dict)
    copy: WireItem | None = field(default_factory=lambda: copies().item(KEY, put(1, {})))
    changes: list[tuple[WireItem | None, WireItem | None]] = field(default_factory=list)
    carried: int = 0

    def change(self, to: WireItem | None) -> None:
        if self.now is not None or to is not None:
            self.changes.append((self.now, to))
            self.now = to

    def others(self, to: WireItem | None) -> None:
        """They know nothing of the marks, which stay, or go with the item."""
        if to is None or self.copy is None:
            self.copy = None if to is None else {**KEY, **to}
        else:
            self.copy = {**KEY, **to, **{name: self.copy[name] for name in OF_COPIES if name in self.copy}}

    def repair(self) -> None:
        first = None if self.now is None else {**KEY, **self.now}
        write = needed(first, self.copy, _RULES, KEY.keys(), _RULES.present(0.0))
        while write:
            self.copy = _written(self.copy, write)
            write = write.rest

    def carry(self) -> None:
        """All that has changed, as one page: the newest is sent."""
        if self.carried == len(self.changes):
            return
        old, new = self.changes[-1]
        self.carried = len(self.changes)
        change = put(1 + self.carried, new, old)
        mark = MARK if new is None else {}
        after = None
        if change.old and self.copy is not None:
            after = made(copies().update(KEY, change, mark), self.copy)
        if after is None and (self.copy is None or order_in(self.copy) < change.order):
            after = copies().item(KEY, change) | mark
        self.copy = after

    @property
    def equal(self) -> bool:
        first = None if self.now is None else {**KEY, **self.now}
        return needed(first, self.copy, _RULES, KEY.keys(), _RULES.present(0.0)) is None


def _written(item: WireItem | None, write: Write) -> WireItem | None:
    if write.delete:
        return None
    left = {name: value for name, value in (item or KEY).items() if name not in write.removes}
    return {**left, **write.sets}


_A: WireItem = {"a": {"N": "1"}}


@given(_steps, _steps)
@example([("change", _A)], [("change", {}), ("change", {})])  # the repair adds the attribute
@example([("others", {"a": {"N": "10"}}), ("change", _A)], [("change", {}), ("change", {})])  # or others have
def test_a_follow_that_goes_on_after_a_repair_leaves_what_the_table_has(
    before: list[tuple[str, WireItem | None]], after: list[tuple[str, WireItem | None]]
) -> None:
    record = _Record()
    for what, to in [*before, ("repair", None), *((what, to) for what, to in after if what != "others")]:
        match what:
            case "change":
                record.change(to)
            case "others":
                record.others(to)
            case "repair":
                record.repair()
            case _:
                record.carry()
    record.carry()
    assert record.equal
