"""Differences in the ledger: kept in chunks, replaced by a newer attempt alone."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime
from typing import Any

import pytest

from commands.differences import _comparison
from reindexer.errors import BadInput, EnvironmentFault
from reindexer.ledger import Ledger
from reindexer.models import Compared, Difference, Differing, FoundDifference, ShardPlace
from tests.reports import a_report

PLACE = ShardPlace(job="job", run="run", index=3)


def found(number: int, size: int = 10) -> FoundDifference:
    """One that cannot be compressed."""
    value = base64.b64encode(os.urandom(size)).decode()
    shown = [Differing(path="a", table=value, other=None)]
    return FoundDifference(kind=Difference.DIFFERENT, key={"id": {"N": str(number)}}, attributes=shown)


def kept(ledger: Ledger, number: int = 0) -> list[FoundDifference]:
    return list(ledger.differences.of(PLACE, number))


def test_a_chunk_comes_back_as_it_was_kept(ledger: Ledger) -> None:
    chunk = [found(number) for number in range(1000)]
    ledger.differences.put(PLACE, 0, 7, chunk)
    ledger.differences.put(PLACE, 1, 7, chunk[:1])
    assert (kept(ledger), kept(ledger, number=1)) == (chunk, chunk[:1])


def test_a_chunk_too_large_for_an_item_takes_several(ledger: Ledger) -> None:
    chunk = [found(number, 3000) for number in range(300)]  # 1.2 MB
    ledger.differences.put(PLACE, 0, 7, chunk)
    assert kept(ledger) == chunk


@pytest.mark.parametrize(("fence", "wins"), [(8, True), (7, True), (6, False)])
def test_an_older_attempt_changes_nothing_that_a_newer_one_has_kept(
    ledger: Ledger, fence: int, wins: bool
) -> None:
    first, second = [found(1)], [found(2), found(3)]
    ledger.differences.put(PLACE, 0, 7, first)
    ledger.differences.put(PLACE, 0, fence, second)
    assert kept(ledger) == (second if wins else first)


def test_a_newer_attempt_that_keeps_less_leaves_nothing_of_the_older_one(ledger: Ledger) -> None:
    ledger.differences.put(PLACE, 0, 7, [found(number, 3000) for number in range(300)])
    ledger.differences.put(PLACE, 0, 8, [found(1)])
    assert [difference.key["id"]["N"] for difference in kept(ledger)] == ["1"]


def test_what_a_check_at_the_end_has_found_is_listed_while_it_goes_on(ledger: Ledger) -> None:
    """Of a replica; its report has no comparison until that has ended."""
    operation = {"kind": "replicate", "to": {"table": "r"}}
    running = a_report(job="job", run="run", state="running", as_of=datetime.now(UTC), operation=operation)
    ledger.reports.put(running)
    assert _comparison(ledger, "job", "run") == (Compared(chunks=[]), False)
    ledger.differences.put(PLACE, 0, 7, [found(1)])
    assert _comparison(ledger, "job", "run") == (Compared(chunks=[0, 0, 0, 1]), False)
    ledger.reports.put(running.model_copy(update={"operation": {"kind": "touch"}, "run": "other"}))
    with pytest.raises(BadInput, match="compared nothing: it is a touch"):
        _comparison(ledger, "job", "other")


def test_a_chunk_that_is_not_there_is_a_fault_and_no_empty_one(ledger: Ledger, dynamodb: Any) -> None:
    with pytest.raises(EnvironmentFault, match="no complete chunk 0 of shard 3"):
        kept(ledger)
    ledger.differences.put(PLACE, 0, 7, [found(number, 3000) for number in range(300)])
    key = {"pk": {"S": "differences#job#run"}, "sk": {"S": "003#0000000#01"}}
    dynamodb.delete_item(TableName=ledger.table, Key=key)
    with pytest.raises(EnvironmentFault, match="DifferencesMissing"):
        kept(ledger)
