"""Schedules of everything that can go wrong with a shard, for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reindexer.rounds.pending_write import Patience
from tests.driving import Life
from tests.model_table import CALL_FAULTS, READ_FAULTS, STATEMENT_FAULTS, WRITERS, Plan

ROWS = 40  # a batch and a half: enough for neighbours, few enough for many examples

_statements = st.dictionaries(st.integers(0, 24), st.sampled_from(STATEMENT_FAULTS), max_size=6)
_writers = st.lists(st.tuples(st.sampled_from(WRITERS), st.integers(0, ROWS - 1)), max_size=2).map(tuple)


def plans(*, writers: bool, killed: bool = True) -> st.SearchStrategy[Plan]:
    """What one call meets; half of the calls meet nothing."""
    faults = [fault for fault in (*CALL_FAULTS, *READ_FAULTS) if killed or not fault.startswith("killed")]
    return st.builds(
        Plan,
        call=st.none() | st.sampled_from(sorted(set(faults))),
        statements=st.just({}) | _statements,
        strip_items=st.booleans(),
        late_by=st.integers(1, 6),
        writers=_writers if writers else st.just(()),
    )


def rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    """A table: most rows below the target, some at it, past it, or of another type."""
    versions = st.sampled_from(
        [
            None, None, None, {"N": "3"}, {"N": "6.5"},
            {"N": "7"}, {"N": "8"}, {"S": "7"},
        ]
    )  # fmt: skip
    return (
        st.lists(versions, min_size=1, max_size=ROWS) | st.lists(versions, min_size=ROWS, max_size=ROWS)
    ).map(
        lambda drawn: [
            {"id": {"S": f"row-{number:03}"}, **({"reindexVersion": version} if version else {})}
            for number, version in enumerate(drawn)
        ]
    )


lives = st.lists(
    st.builds(
        Life,
        kill_at=st.none() | st.integers(1, 30),
        stop_at=st.none() | st.integers(1, 30),
        delivered_each=st.integers(1, 4),
    ),
    max_size=5,
)


#: Most of the time long enough that many calls meet something; short ones shrink well.
def schedules(**how: bool) -> st.SearchStrategy[list[Plan]]:
    each = plans(**how)
    return st.lists(each, max_size=40) | st.lists(each, min_size=15, max_size=60)


#: From the patience of a round down to that of a single record.
patiences = st.sampled_from([Patience(), Patience(split_after=1, isolate_after=2, races=1, in_trouble=10)])

#: Records that fail for ever: number of the row → the fault of its statement, or "poison" for its whole call.
troubled = st.dictionaries(
    st.integers(0, ROWS - 1),
    st.sampled_from(("500 before", "500 after", "500 late", "invalid", "poison")),
    max_size=4,
)

#: Rounds that are asked to stop, and none that is lost.
stops = st.lists(st.builds(Life, stop_at=st.none() | st.integers(1, 30)), max_size=5)
