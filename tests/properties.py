"""What property tests of shards share: a model that follows a schedule, and what holds whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from reindexer.items import from_json_key
from reindexer.models import Isolated, Progress
from tests.driving import Shard
from tests.model_table import Identity, ModelTable, Plan


def scheduled(
    table: list[dict[str, Any]], schedule: list[Plan], bad: dict[int, str] | None = None
) -> ModelTable:
    """`bad`: records that always fail, as `strategies.troubled` draws them."""
    model = ModelTable(table, plan=lambda n: schedule[n - 1] if n <= len(schedule) else None, page_rows=17)
    for number, fault in (bad or {}).items():
        identity = sorted(model.first)[number % len(table)]
        if fault == "poison":
            model.poison.add(identity)
        else:
            model.failing[identity] = fault
    return model


def isolated_by_identity(carried: Shard) -> dict[Identity, Isolated]:
    return {carried.model.identity(from_json_key(one.key)): one for one in carried.isolated}


def covered(settled: Callable[[dict[str, Any]], bool]) -> Callable[[Shard, Progress], None]:
    """Every undisturbed row up to the cursor is settled, or isolated."""

    def check(carried: Shard, progress: Progress) -> None:
        if not progress.cursor:
            return
        model = carried.model
        isolated = set(isolated_by_identity(carried))
        isolated |= {model.identity(from_json_key(one.key)) for one in progress.isolated}
        for identity in model.upto(from_json_key(progress.cursor)):
            if identity not in model.disturbed and identity not in isolated:
                assert settled(model.rows[identity]), f"the cursor is past {identity}, which is not settled"

    return check


def ahead(changed: Callable[[ModelTable], Collection[Identity]]) -> Callable[[Shard, Progress], None]:
    """Unless an attempt was lost, `ahead` covers the rows beyond the cursor that were changed."""

    def check(carried: Shard, progress: Progress) -> None:
        model, passed = carried.model, 0
        if progress.cursor:
            passed = len(model.upto(from_json_key(progress.cursor)))
        beyond = sorted(model.first, key=model._order)[passed:]
        places = [place for place, identity in enumerate(beyond) if identity in changed(model)]
        assert progress.ahead > max(places, default=-1)

    return check


def check_account(carried: Shard) -> None:
    """Whatever the verb, at the end: each record once, and no doubt forgotten."""
    model, isolated = carried.model, isolated_by_identity(carried)
    assert len(isolated) == len(carried.isolated), "a record was isolated twice"
    assert carried.tally.balanced(len(carried.isolated))
    for identity, one in isolated.items():
        if identity in model.unanswered:
            assert one.unknown, f"a write to {identity} was never answered, and it counts as not applied"


def check_attempts(carried: Shard, changed: Collection[Identity]) -> None:
    """Where no attempt was lost: each write behind an error is counted once, and where it was not, not."""
    ambiguous = carried.model.behind_an_error - set(isolated_by_identity(carried))
    assert carried.attempts.ambiguous == len(ambiguous)
    for identity, one in isolated_by_identity(carried).items():
        if not one.unknown:
            assert identity not in changed, "counts as not applied, and was"
