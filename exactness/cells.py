"""The cells of the matrix: operation × fault × moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deploy.faults import Fault, FaultKind, FaultPlan
from exactness import disturbances
from exactness.cell import Cell
from exactness.kinds import KINDS, Faults, Kind, Moment
from exactness.verbs import DELETE, TOUCH, TRANSFORM, Verb

#: Operations that change records in place; each goes through every kind of fault.
OPERATIONS = (TOUCH, TRANSFORM, DELETE)
RECORDS = 1000  # of a cell: 40 batches, so that there is a middle, and a cell takes seconds
_STORM = 100_000
_QUICK_STORM = 10_000
_CRASHES = (
    ("kill -9 of one worker process", disturbances.kill_one),
    ("kill -9 of all workers", disturbances.kill_all),
    ("a worker frozen, then thawed (zombie)", disturbances.freeze),
)


def cells(quick: bool) -> Iterator[Cell]:
    """All cells but the control, in the order of the table."""
    for verb in OPERATIONS:
        for kind in KINDS:
            for moment in _moments(kind, verb, quick):
                yield Cell(
                    kind.name,
                    moment,
                    RECORDS,
                    verb,
                    kind.faults,
                    parks=kind.parks,
                    given_up=kind.given_up,
                )
        yield from _crashes(verb, quick)
        if verb is TOUCH or not quick:
            yield _storm(verb, _QUICK_STORM if quick else _STORM)
        yield from _other_writers(verb)


def _moments(kind: Kind, verb: Verb, quick: bool) -> Sequence[Moment]:
    """Touch at every moment. The others share its rounds and delivery; what is theirs lies in the middle."""
    if quick:  # a transform is carried as a touch is; a deletion is two writes
        return kind.moments[:1] if kind.quick and (verb is TOUCH or (verb is DELETE and kind.ambiguous)) else ()
    if verb is TOUCH or kind.ambiguous:
        return kind.moments
    return (Moment.MIDDLE if Moment.MIDDLE in kind.moments else kind.moments[0],)


def _crashes(verb: Verb, quick: bool) -> Iterator[Cell]:
    for name, disturb in _CRASHES[1:2] if quick else _CRASHES:
        for moment in (Moment.MIDDLE,) if quick else (Moment.MIDDLE, Moment.END):
            yield Cell(
                name,
                moment,
                2 * RECORDS,  # so that work is under way in both processes
                verb,
                disturb=disturb,
                crash=True,
                held_back=True,
                strikes=False,
                shards=8,
            )


def _other_writers(verb: Verb) -> Iterator[Cell]:
    """Who takes the stamp off, and who leaves it: the first is the edge of the promise, the rest is within."""
    if verb is TRANSFORM:
        yield Cell(
            "another writer changes what the function reads",
            Moment.START,
            RECORDS,
            verb,
            _some_answers_lost,
            disturb=disturbances.change_names,
            beside=disturbances.has_the_last_name,
            held_back=True,
        )
    if verb is DELETE:
        yield Cell(
            "gone rows are created anew, deletes land 0.5 s late",
            Moment.START,
            RECORDS,
            verb,
            _late_writes,
            disturb=disturbances.create_anew,
            job={"sweep": False},  # else it would delete what was created anew, as it should
            beside=disturbances.is_deleted_by_a_mark_of_its_own,
        )
    yield Cell(
        "another writer puts whole items",
        Moment.START,
        RECORDS,
        verb,
        _lost_answers,
        disturb=disturbances.drop_stamps,
        job={"sweep": False},
        edge=True,
        held_back=True,
    )


def _storm(verb: Verb, records: int) -> Cell:
    """A third of all calls fail, half of those after they were applied, at maximum parallelism."""
    most = 400  # shards a job may have
    shards = most if records >= _STORM else most // 10  # all in flight at once
    return Cell(
        f"a third of all calls fail, half of these applied; {shards} shards at once",
        Moment.START,
        records,
        verb,
        lambda table: _only(table, FaultPlan.mixed(1 / 3, seed=7).faults),
        job={"limits": {"shards_in_flight": most}},
        shards=shards,
    )


def _lost_answers(table: str) -> Faults:
    return _only(table, (Fault(kind=FaultKind.SERVER_ERROR_APPLIED, probability=0.5, operations="writes"),))


def _some_answers_lost(table: str) -> Faults:
    return _only(table, (Fault(kind=FaultKind.SERVER_ERROR_APPLIED, probability=0.25, operations="writes"),))


def _late_writes(table: str) -> Faults:
    late = Fault(kind=FaultKind.SERVER_ERROR_LATE, probability=0.5, seconds=0.5, operations="writes")
    return _only(table, (late,))


def _only(table: str, faults: Faults) -> Faults:
    return tuple(fault.model_copy(update={"tables": frozenset((table,))}) for fault in faults)
