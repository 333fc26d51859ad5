"""What a mutation is, and the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass

#: No servers needed; they drive delivery and rounds against a model of a conditional table.
ENGINE = ("tests/test_delivery.py", "tests/test_round.py", "tests/test_round_properties.py")
SEMANTICS = ("tests/test_semantics.py",)  # on real engines
JOBS = ("tests/test_jobs_end_to_end.py",)  # on the whole stack
TAXONOMY = ("tests/test_taxonomy.py",)
TRANSFORM = ("tests/test_transform.py",)  # a job's function and its guards, against the model
CLOSING = ("tests/test_closing_look.py", "tests/test_round_properties.py")  # against the model, too
DELETIONS = ("tests/test_transform.py", "tests/test_deletions.py")
UNSTAMP = ("tests/test_unstamp_properties.py",)  # against the model, too
COMPARE = ("tests/test_compare.py", "tests/test_compare_properties.py")  # against two tables in memory
REPAIR = ("tests/test_repair.py", "tests/test_repair_properties.py")  # the same
INDEX = ("tests/test_index_round.py",)  # against an index in memory
REFRESH = ("tests/test_refresh_round.py", "tests/test_refresh_replica_round.py")  # written again
COPIES = ("tests/test_copies_of_others.py",)  # what a repair leaves of a copy's marks
REPLICA = ("tests/test_replica_round.py",)  # against a replica in memory
INDEX_WRITES = ("tests/test_search_writes.py",)  # on a real OpenSearch
#: On the whole stack.
INDEX_JOBS = (
    "tests/test_index_end_to_end.py::test_a_refused_document_is_given_up_by_its_own_error_and_redriven",
)
AHEAD = ("tests/test_delivery_ahead.py",)
#: Against a stream and an index in memory.
FOLLOW = ("tests/test_follow_round.py", "tests/test_stream_following.py")
LINEAGES = (
    "tests/test_stream_lineages.py",
    "tests/test_stream_following.py",
    "tests/test_stream_properties.py",
)
READING = ("tests/test_stream_reading.py",)
PURGE = ("tests/test_tombstones.py",)  # on a real OpenSearch
LEDGER = ("tests/test_ledger.py",)  # on real engines
FOLLOW_JOBS = ("tests/test_follow_beside_its_scan.py",)  # on the whole stack
FOLDING = ("tests/test_folding.py",)
SLOT = ("tests/test_job_shard.py",)


@dataclass(frozen=True)
class Mutation:
    """`old`, which occurs once in the file at `path`, becomes `new`."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...] = ENGINE
