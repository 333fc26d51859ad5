"""compare: only read a table and another one, or its index, and say how they differ.

It has no rounds that write: its shards compare.
"""

from __future__ import annotations

from reindexer.models import Verb

#: With another table.
COMPARE = Verb(
    kind="compare",
    does="compare two tables, key by key; write nothing",
    writes=False,
    runs_job=False,
    outcomes=[],
    incomplete=[],
    compares=True,
)
#: With a search index.
COMPARE_INDEX = COMPARE.model_copy(
    update={"does": "compare a search index with its table, document by document; write nothing"}
)
