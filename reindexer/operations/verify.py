"""verify: only read, and count what is behind a version. It has no rounds: its shards verify."""

from __future__ import annotations

from reindexer.models import Verb

VERIFY = Verb(
    kind="verify",
    does="count the records that are behind a version; write nothing",
    writes=False,
    runs_job=False,
    outcomes=[],
    incomplete=[],
)
