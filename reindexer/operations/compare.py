"""compare: only read two tables, and say how they differ. It has no rounds that write: its shards compare."""

from __future__ import annotations

from reindexer.models import Verb

COMPARE = Verb(
    kind="compare",
    does="compare two tables, key by key; write nothing",
    writes=False,
    runs_job=False,
    outcomes=[],
    incomplete=[],
    compares=True,
)
