"""The cells of the matrix: operation × scene × what happens × moment.

Touch meets everything at every moment, and the other operations what is theirs. A scene meets one happening of
each family, with one operation and moment after another: each two of operation, scene and family share a cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from evidence.exactness import crashes, disturbances
from evidence.exactness.cell import Cell, Disturb
from evidence.exactness.kinds import KINDS, MOMENTS, Kind, Make, Moment, throttled
from evidence.exactness.scenes import (
    COMPLETE,
    INDEX,
    LAGGING,
    REDRIVE,
    SAMPLE,
    SCENES,
    UPDATE_ITEM,
    Scene,
    only,
)
from evidence.exactness.stand import HEARTBEAT_SECONDS, Stand
from evidence.exactness.verbs import DELETE, PROCESS, TOUCH, TRANSFORM, UNSTAMP, Verb
from testbed.faults import Fault, FaultKind, FaultPlan

#: Operations that change records in place; each goes through every kind of fault.
OPERATIONS = (TOUCH, TRANSFORM, DELETE)
RECORDS = 1000  # of a cell: 40 batches, so that there is a middle, and a cell takes seconds
_STORM = 100_000
_QUICK_STORM = 4000
QUICK_RECORDS = 400  # 16 batches: a middle still, for less than half of the CPU


@dataclass(frozen=True)
class Crash:
    """What happens to workers and servers. `moments`: when; `lossy`: attempts are lost in it."""

    name: str
    disturb: Disturb
    moments: tuple[Moment, ...] = (Moment.MIDDLE,)
    around: Callable[[Stand], AbstractContextManager[Stand]] = nullcontext
    quick: bool = False
    lossy: bool = True
    silence: float = 0.0  # seconds that Temporal hears nothing of attempts that are at work
    cancels: bool = False
    many: bool = False  # it strikes rounds alone: a record's own activity has 30 s for a heartbeat
    family: str | None = None
    faults: Make = lambda _table, _keys: ()
    records: int = 2 * RECORDS  # so that work is under way in both processes


CRASHES = (
    Crash("kill -9 of one worker process", crashes.kill_one, MOMENTS[1:], family="killed"),
    Crash("kill -9 of all workers", crashes.kill_all, MOMENTS[1:], quick=True, family="killed"),
    Crash("a worker frozen, then thawed (zombie)", crashes.freeze, MOMENTS[1:], many=True, family="killed"),
    Crash("paused, and kill -9 of all workers", crashes.pause),
    Crash(
        "paused and resumed again and again, writes throttled", crashes.pauses, faults=throttled, lossy=False
    ),
    Crash("limits set, and kill -9 of all workers", crashes.limits),
    Crash("cancelled, and kill -9 of all workers", crashes.cancel, cancels=True),
    Crash("continued as new, and kill -9 of all workers", crashes.cycle, around=crashes.cycling),
    Crash("workers replaced, and kill -9 of one", crashes.upgrade),
    Crash("Temporal restarted", crashes.restart_temporal, silence=HEARTBEAT_SECONDS),
    Crash(
        "a worker cut off from Temporal, and a pause",
        crashes.cut_off,
        around=crashes.one_behind_a_forwarder,
        silence=HEARTBEAT_SECONDS,
        records=4 * RECORDS,  # ten batches a shard are left, a second each
    ),
    Crash("second jobs on the table, and kill -9 of all workers", crashes.second_job),
    Crash(
        "STS refuses, then grants", crashes.tokens_refused, around=crashes.credentials_by_tokens, lossy=False
    ),
    Crash(
        "STS fails for 6 s",
        crashes.tokens_failing,
        around=crashes.credentials_by_tokens,
        lossy=False,
        family="STS",
    ),
)


def cells(quick: bool) -> Iterator[Cell]:
    """All cells but the control, in the order of the table; of the quick ones most have fewer records."""
    for cell in _cells(quick):
        fewer = quick and cell.records == RECORDS and not cell.disturb  # others need the time to interfere
        yield replace(cell, records=QUICK_RECORDS) if fewer else cell


def _cells(quick: bool) -> Iterator[Cell]:
    for verb in OPERATIONS:
        for kind in KINDS:
            for moment in _moments(kind, verb, quick):
                yield _of_kind(kind, moment, verb)
        for crash in CRASHES:
            if crash.quick or not quick:
                for moment in crash.moments[:1] if quick else crash.moments:
                    yield _of_crash(crash, moment, verb)
        if verb is TOUCH or not quick:
            yield _storm(verb, _QUICK_STORM if quick else _STORM)
        yield from _other_writers(verb)
    yield from _removing_stamps(quick)
    if quick:
        yield from _one_of_each_scene()
        return
    yield from _in_turn(COMPLETE, (PROCESS,), 0)
    for number, scene in enumerate(SCENES):
        yield from _in_turn(scene, (*OPERATIONS, PROCESS), number)
    # Where reads lag, what is read again may have been settled: that is for every operation to know.
    [again] = [crash for crash in CRASHES if crash.disturb is crashes.pauses]
    for scene, verb in itertools.product((LAGGING, INDEX), (*OPERATIONS, PROCESS)):
        yield _of_crash(again, Moment.MIDDLE, verb, scene)


def _moments(kind: Kind, verb: Verb, quick: bool) -> Sequence[Moment]:
    """Touch at every moment. The others share its rounds and delivery; what is theirs lies in the middle."""
    if quick:  # a transform is carried as a touch is; a deletion is two writes
        return kind.moments[:1] if kind.quick and (verb is TOUCH or (verb is DELETE and kind.ambiguous)) else ()
    if verb is TOUCH or kind.ambiguous:
        return kind.moments
    return (Moment.MIDDLE if Moment.MIDDLE in kind.moments else kind.moments[0],)


def _in_turn(scene: Scene, verbs: Sequence[Verb], first: int) -> Iterator[Cell]:
    """One happening of each family in a scene, with the next operation and moment each time."""
    families: dict[str, list[Kind | Crash]] = {}
    for one in (*KINDS, *CRASHES):
        if isinstance(one, Crash) or _suits(one, scene):
            families.setdefault(one.family or one.name, []).append(one)
    for turn, family in enumerate(families.values(), first):
        happening = family[first % len(family)]  # the next scene meets the next one of it
        if scene is REDRIVE and happening.many:  # for few records, each an activity and a call of its own
            happening = family[(first + 1) % len(family)]
        elif scene is REDRIVE and isinstance(happening, Kind) and happening.batched:
            happening = _hardest()
        verb = verbs[turn % len(verbs)]
        if verb is PROCESS and isinstance(happening, Kind) and happening.batched:
            verb = TRANSFORM  # work for each record writes one at a time
        # As many turns later as there are verbs the next moment: else each verb would always meet the same.
        moment = happening.moments[turn // len(verbs) % len(happening.moments)]
        if isinstance(happening, Kind):
            yield _of_kind(happening, moment, verb, scene)
        else:
            yield _of_crash(happening, moment, verb, scene)


def _removing_stamps(quick: bool) -> Iterator[Cell]:
    """What leaves a write behind an error, and what loses attempts: of both no row tells what became of it."""
    for kind in [_hardest()] if quick else [kind for kind in KINDS if kind.ambiguous or kind.given_up]:
        yield _of_kind(kind, Moment.MIDDLE if Moment.MIDDLE in kind.moments else kind.moments[0], UNSTAMP)
    for crash in CRASHES:
        if crash.lossy and (crash.quick or not quick):
            yield _of_crash(crash, Moment.MIDDLE, UNSTAMP)


def _one_of_each_scene() -> Iterator[Cell]:
    """With the answers of writes lost."""
    verbs = (*OPERATIONS, PROCESS)
    for number, scene in enumerate(SCENES):
        yield _of_kind(_hardest(), Moment.MIDDLE, verbs[(number + 2) % len(verbs)], scene)


def _hardest() -> Kind:
    """The kind that strikes whatever a job does, and asks most of whoever counts."""
    [lost] = [kind for kind in KINDS if kind.name == "500 after the write"]
    return lost


def _suits(kind: Kind, scene: Scene) -> bool:
    if scene is SAMPLE and kind.given_up:  # who knows which records are in it
        return False
    return not (scene is UPDATE_ITEM and kind.partiql)


def _of_kind(kind: Kind, moment: Moment, verb: Verb, scene: Scene = COMPLETE) -> Cell:
    return Cell(
        kind.name,
        moment,
        RECORDS,
        verb,
        kind.faults,
        scene,
        parks=kind.parks,
        given_up=kind.given_up,
    )


def _of_crash(crash: Crash, moment: Moment, verb: Verb, scene: Scene = COMPLETE) -> Cell:
    return Cell(
        crash.name,
        moment,
        crash.records,
        verb,
        crash.faults,
        scene,
        disturb=crash.disturb,
        around=crash.around,
        crash=crash.lossy,
        silence=crash.silence,
        cancelled=crash.cancels,
        held_back=True,
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
            "deleted rows are re-created, deletes land 0.5 s late",
            Moment.START,
            RECORDS,
            verb,
            _late_writes,
            disturb=disturbances.create_again,
            job={"sweep": False},  # else it would delete what was re-created, as it should
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
        lambda table, _keys: only(table, FaultPlan.mixed(1 / 3, seed=7).faults),
        job={"limits": {"shards_in_flight": most}},
        shards=shards,
    )


def _writes(kind: FaultKind, probability: float, seconds: float | None = None) -> Make:
    fault = Fault(kind=kind, probability=probability, seconds=seconds, operations="writes")
    return lambda table, _keys: only(table, (fault,))


_lost_answers = _writes(FaultKind.SERVER_ERROR_APPLIED, 0.5)
_some_answers_lost = _writes(FaultKind.SERVER_ERROR_APPLIED, 0.25)
_late_writes = _writes(FaultKind.SERVER_ERROR_LATE, 0.5, seconds=0.5)
