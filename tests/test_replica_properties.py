"""Whatever happens: a replica ends equal to its table, no record goes back, each is counted once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reindexer.models import Stop
from reindexer.rounds.pending_write import Patience
from reindexer.streams.order import SETTLED
from reindexer.tally import Outcome, Tally
from tests.driving import Life
from tests.model_followed import key_of
from tests.model_replica import FLOOR, SWEEP, Replicated, ReplicatingShard, copied, row
from tests.model_stream import KEYS
from tests.model_table import Item, Plan
from tests.properties import check_account
from tests.strategies import lives, patiences, schedules

ROWS = 40  # a batch and a half
_MANY = 60  # rounds of following: each fault may cost one, and a record alone has four tries in each
#: What the replica has of a key before: of an earlier epoch or of others, or nothing.
_BEFORE = ("nothing", "nothing", "older", "no order", "older mark")
#: What a copy that is made again meets as well: its own write, and changes that are newer.
_AGAIN = (*_BEFORE, "ours", "newer", "newer mark")
_held = st.tuples(st.booleans(), st.sampled_from(_BEFORE))
_held_again = st.tuples(st.booleans(), st.sampled_from(_AGAIN))
writer = st.sampled_from(["partiql", "update_item"])
#: Records that fail for as long as the scan goes on.
troubled = st.dictionaries(
    st.integers(0, ROWS - 1), st.sampled_from(("500 before", "500 after", "500 late", "poison")), max_size=3
)


def _copied(key: int, what: str) -> list[Item]:
    match what:
        case "nothing":
            return []
        case "ours":
            return [copied(key, FLOOR, 0)]
        case _:
            order = None if what == "no order" else FLOOR + (7 if what.startswith("newer") else -7)
            return [copied(key, order, gone=what.endswith("mark"))]


def _world(keys: list[tuple[bool, str]], schedule: list[Plan], *, images: bool = True) -> Replicated:
    """`keys`: whether the table has it, and what the replica has of it."""
    rows = [row(key) for key, (there, _) in enumerate(keys) if there]
    before = [each for key, (_, what) in enumerate(keys) for each in _copied(key, what)]
    return Replicated(rows, before, schedule, images=images)


def _check(shard: ReplicatingShard) -> None:
    assert shard.tally.balanced(len(shard.isolated))
    assert shard.world.replica.wrong == []
    assert set(shard.world.replica.landed.values()) <= {1}


@given(
    st.lists(_held_again, min_size=1, max_size=ROWS),
    schedules(writers=False),
    lives,
    lives,
    patiences,
    writer,
    troubled,
)
def test_of_a_quiet_table_the_counts_are_exact_and_the_replica_is_equal(
    keys: list[tuple[bool, str]],
    schedule: list[Plan],
    scanning: list[Life],
    sweeping: list[Life],
    patience: Patience,
    how: str,
    bad: dict[int, str],
) -> None:
    world = _world(keys, schedule)
    names = [world.replica.identity(key_of(key)) for key in range(len(keys))]
    for number, fault in bad.items():
        if fault == "poison":
            world.replica.poison.add(names[number % len(names)])
        else:
            world.replica.failing[names[number % len(names)]] = fault
    scan = world.shard(patience=patience, how=how).run(scanning)
    _check(scan)
    check_account(scan)
    scan.alone()
    world.replica.failing.clear()
    world.replica.poison.clear()
    while scan.isolated:
        scan.alone()
    _check(scan)
    sent = [what for there, what in keys if there]
    newer = sum(what.startswith("newer") for what in sent)
    assert scan.tally == Tally(scanned=len(sent), updated=len(sent) - newer, superseded=newer)
    sweep = world.shard(SWEEP, patience, how).run(sweeping)
    while sweep.isolated:
        sweep.alone()
    _check(sweep)
    extraneous = [what for there, what in keys if not there and what in ("older", "no order")]
    assert sweep.tally == Tally(scanned=len(extraneous), removed=len(extraneous))
    differing = set(world.differing())
    world.replica.land()
    for name, (there, what) in zip(names, keys, strict=True):
        if what.startswith("newer") or (what == "ours" and not there):
            assert name not in [each for each, _ in world.replica.landed], "written over by something older"
        else:
            assert name not in differing
    assert set(world.differing()) == differing, "what came late has changed it"
    assert world.replica.wrong == []


@given(st.lists(_held_again, min_size=1, max_size=ROWS), schedules(writers=False), lives, patiences, writer)
def test_a_cancelled_copy_counts_what_it_has_written(
    keys: list[tuple[bool, str]], schedule: list[Plan], more: list[Life], patience: Patience, how: str
) -> None:
    world = _world(keys, schedule)
    scan = world.shard(patience=patience, how=how)
    for life in more:
        if Stop.DONE not in scan.stops:
            scan.one_round(life)
    world.replica.land()  # what comes later still is no one's to count
    scan.closed()
    _check(scan)
    ours = sum(there and what == "ours" for there, what in keys)
    written = sum(world.replica.landed.values())
    assert written <= scan.tally[Outcome.UPDATED] <= written + ours


_life = st.builds(Life, kill_at=st.none() | st.integers(1, 30), stop_at=st.none() | st.integers(1, 30))
STEPS = st.one_of(
    st.tuples(st.sampled_from(("put", "put", "delete")), st.integers(0, KEYS - 1), st.just(Life())),
    st.tuples(st.sampled_from(("split", "roll")), st.integers(0, 7), st.just(Life())),
    st.tuples(st.sampled_from(("scan", "follow", "follow")), st.just(0), _life),
)


@given(
    st.lists(_held, max_size=KEYS + 4),
    st.lists(STEPS, max_size=25),
    schedules(writers=True),
    lives,
    patiences,
    writer,
    st.booleans(),
)
def test_beside_others_who_write_a_drained_replica_is_equal_and_each_change_is_counted_once(
    keys: list[tuple[bool, str]],
    steps: list[tuple[str, int, Life]],
    schedule: list[Plan],
    sweeping: list[Life],
    patience: Patience,
    how: str,
    images: bool,
) -> None:
    world = _world(keys, schedule, images=images)
    scan = world.shard(patience=patience, how=how)
    stream = world.shard(world.lineages, patience, how)
    for what, which, life in steps:
        match what:
            case "put":
                world.put(which)
            case "delete":
                world.delete(which)
            case "scan":
                if Stop.DONE not in scan.stops:
                    scan.one_round(life)
            case "follow":
                stream.one_round(life)
            case _:
                world.stream.divide(which, split=what == "split")
    if Stop.DONE not in scan.stops:
        scan.run()
    while scan.isolated:
        scan.alone()
    sweep = world.shard(SWEEP, patience, how).run(sweeping)
    while sweep.isolated:
        sweep.alone()
    for _ in range(_MANY):
        if stream.isolated or stream.tally.scanned < len(world.stream.written):
            stream.alone()
            stream.one_round(Life())
    for shard in (scan, sweep, stream):
        _check(shard)
    changes = len(world.stream.written)
    assert stream.tally.scanned == changes
    assert world.differing() == []
    world.replica.land()
    assert world.differing() == [], "what came late has changed it"
    assert world.replica.wrong == []
    # Of a change whose answer was lost, a newer one that landed meanwhile leaves nothing: it is superseded.
    applied = sum(stream.tally[each] for each in (Outcome.UPDATED, Outcome.DELETED, Outcome.VANISHED))
    above = sum(order > FLOOR + SETTLED for _, order in world.replica.landed)
    assert applied <= above <= applied + stream.tally[Outcome.SUPERSEDED]
