"""One rule for adding to a shard what a round or a record came to; workflow and tests share it."""

from __future__ import annotations

from reindexer.items import key_text
from reindexer.models.checks import Verification, VerifyResult
from reindexer.models.closing import ClosingResult
from reindexer.models.comparison import CompareResult
from reindexer.models.rounds import Progress, RecordResult
from reindexer.models.shards import ShardState
from reindexer.tally import Outcome, Tally, plus_each

#: Newest quarantined records that a shard holds for its root; the ledger has all.
_MAX_NEWEST = 50
#: Error classes that are counted apart, and the bytes of their names: a job's own code may name any number, of
#: any length. Every report of a shard has them: 20 ordinary names in 500 bytes leave its memo below 2 KB.
_MAX_CLASSES, _MAX_CLASS_BYTES = 20, 500
_OTHERS = "others"


def after_round(state: ShardState, progress: Progress) -> ShardState:
    """Counts add up, isolated records are appended, cursor and unconfirmed writes are replaced."""
    return state.model_copy(
        update={
            "cursor": state.cursor if progress.cursor is None else progress.cursor,
            "tally": state.tally + progress.tally,
            "attempts": state.attempts + progress.attempts,
            "isolated": state.isolated + progress.isolated,
            "unconfirmed": progress.unconfirmed,
            "ahead": progress.ahead,
            "read_units": state.read_units + progress.read_units,
            "write_units": state.write_units + progress.write_units,
            "rounds": state.rounds + 1,
            "partitions": plus_each(state.partitions, progress.partitions),
            "followed": progress.followed or state.followed,
        }
    )


def after_check(state: ShardState, result: VerifyResult) -> ShardState:
    """As `after_round`, of a shard that verifies."""
    return state.model_copy(
        update={
            "cursor": state.cursor if result.cursor is None else result.cursor,
            "checked": Verification(
                scanned=state.checked.scanned + result.scanned, behind=state.checked.behind + result.behind
            ),
            "read_units": state.read_units + result.read_units,
            "rounds": state.rounds + 1,
        }
    )


def after_comparison(state: ShardState, result: CompareResult) -> ShardState:
    """As `after_round`, of a shard that compares."""
    return state.model_copy(
        update={
            "cursor": state.cursor if result.cursor is None else result.cursor,
            "compared": state.compared + result.counts,
            "chunks": result.chunks,
            "read_units": state.read_units + result.read_units,
            "rounds": state.rounds + 1,
        }
    )


def at_the_end(state: ShardState) -> ShardState:
    """The source has handed out its last row: nothing beyond the cursor is left in doubt."""
    return state.model_copy(update={"done": True, "unconfirmed": [], "ahead": 0})


def after_record(state: ShardState, result: RecordResult) -> ShardState:
    """What was learnt of an isolated record; with an outcome it is counted, and leaves the list."""
    name = key_text(result.record.key)
    place = next(n for n, record in enumerate(state.isolated) if key_text(record.key) == name)
    # An index may hand a record out twice, under the value it had and the one it has: only this one is meant.
    before = state.isolated[place]
    kept = {"partition": before.partition, "changed_ms": before.changed_ms}  # its attempts know nothing of them
    record = result.record.model_copy(update=kept)
    others = state.isolated[:place], state.isolated[place + 1 :]
    update: dict[str, object] = {
        "attempts": state.attempts + result.attempts,
        "write_units": state.write_units + result.write_units,
        "isolated": [*others[0], record, *others[1]],
        "timed_out": state.timed_out or result.died,
    }
    if result.outcome is not None:
        outcome = Outcome(result.outcome)
        update |= {"tally": state.tally.plus(outcome), "isolated": [*others[0], *others[1]]}
        if record.partition is not None:
            counted = state.partitions.get(record.partition, Tally()).plus(outcome)
            update["partitions"] = {**state.partitions, record.partition: counted}
        if outcome is Outcome.QUARANTINED:
            update["failures"] = _counted(state.failures, record.error)
            update["quarantined"] = [*state.quarantined, record][-_MAX_NEWEST:]
    return state.model_copy(update=update)


def _counted(failures: dict[str, int], error: str) -> dict[str, int]:
    """One more of its class, or of the others where there is no room for another class."""
    room = len(failures) < _MAX_CLASSES and sum(len(e.encode()) for e in [*failures, error]) <= _MAX_CLASS_BYTES
    name = error if error in failures or room else _OTHERS
    return {**failures, name: failures.get(name, 0) + 1}


def after_closing(state: ShardState, result: ClosingResult) -> ShardState:
    """What a cancelled shard's last look found beyond its cursor, and of its isolated records."""
    return state.model_copy(
        update={
            "tally": state.tally + result.tally,
            "attempts": state.attempts + result.attempts,
            "isolated": result.isolated,
            "partitions": plus_each(state.partitions, result.partitions),
            "read_units": state.read_units + result.read_units,
            "ahead": 0,
            "unconfirmed": [],
        }
    )
