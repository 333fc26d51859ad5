"""The judge of the matrix: each thing that must hold is noticed where it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import pytest

from evidence.exactness.cell import Cell, Evidence, Happened
from evidence.exactness.cells import CRASHES, cells
from evidence.exactness.judging import judged
from evidence.exactness.kinds import KINDS, Moment, refused
from evidence.exactness.scenes import COMPLETE, KEYS, PARTITIONS, SAMPLE, SCENES, Scene, only, wire
from evidence.exactness.summary import summary
from evidence.exactness.verbs import DELETE, PROCESS, TOUCH, UNSTAMP, Verb
from testbed.faults import Fault, FaultKind, KeyTruth, Truth, key_text

RECORDS, VERSION, RUN, LOST = 100, 7, "run-1", 1
WARNING = "shards [0] lost a worker: `deleted` may be a lower bound"


def cell(verb: Verb = TOUCH, scene: Scene = COMPLETE, **more: Any) -> Cell:
    def faults(table: str, _keys: Any) -> tuple[Fault, ...]:
        return only(table, (Fault(kind=FaultKind.CUT),))

    return Cell("cut", Moment.START, RECORDS, verb, faults, scene, **more)


def good(of: Cell, **counted: int) -> Evidence:
    """What is seen where all is well; `counted` replaces what the job has counted."""
    rows, runs = {}, {}
    for number in range(RECORDS):
        after, key = of.verb.after(number), key_text(wire(of.scene.key(number)))
        if not of.scene.covers(number):
            rows[key] = of.row(number)
            continue
        mine = of.verb.outcome(number) != "filtered"
        stamps = mine and bool(of.verb.mark)
        stamp = {"reindexVersion": {"N": str(VERSION)}, "reindexRun": {"S": RUN}} if stamps else {}
        if after is not None:
            rows[key] = {**of.rest(number), **after, **stamp}
        if mine:
            runs[key] = KeyTruth(forwarded=1, applied=1, runs={of.verb.mark.format(run=RUN): 1})
    tally = {**of.outcomes(), **counted}
    left = sum(of.verb.after(number) is not None for number in of.numbers)
    report = {
        "table": "t",
        "run": RUN,
        "version": VERSION,
        "state": "complete",
        "balanced": True,
        "tally": {"scanned": sum(tally.values()), **tally},
        "attempts": {"ambiguous": 0, "conflicts": 0},
        "verification": {"scanned": left, "behind": 0},
        "warnings": [WARNING],
        "partitions": {
            name: {"scanned": count}
            for name, count in Counter(f"tenant-{n // 10 % 10}" for n in of.numbers).items()
        },
    }
    truth = Truth(injected={"cut": 3}, calls={}, tables={"t": runs}, unread=0, engine_lost=0, pending=0)
    visits = Counter(f"name of {number}" for number in range(RECORDS))
    return Evidence(report, truth, rows, Happened(), 0, LOST, RUN, visits, 1.0)


def reporting(seen: Evidence, **changed: Any) -> Evidence:
    return replace(seen, report={**seen.report, **changed})


@pytest.mark.parametrize("verb", [TOUCH, DELETE, PROCESS, UNSTAMP], ids=lambda verb: verb.name)
@pytest.mark.parametrize("scene", [COMPLETE, KEYS, PARTITIONS], ids=lambda scene: scene.name)
def test_what_is_right_holds(verb: Verb, scene: Scene) -> None:
    assert judged(cell(verb, scene), good(cell(verb, scene))).wrong == []


ROW = key_text(COMPLETE.key(51))
WRONG: dict[str, Callable[[Evidence], Evidence]] = {
    "nothing was injected": lambda seen: replace(seen, truth=seen.truth.model_copy(update={"injected": {}})),
    "not balanced": lambda seen: reporting(seen, balanced=False),
    "a shard was started again": lambda seen: replace(seen, restarts=1),
    "a paused job has written": lambda seen: replace(
        seen, happened=Happened(musts={"a paused job has written": False})
    ),
    "outcomes should be": lambda seen: reporting(seen, tally={"scanned": 100, "updated": 99, "current": 1}),
    "verification should be": lambda seen: reporting(seen, verification={"scanned": 100, "behind": 1}),
    "records were lost": lambda seen: replace(seen, rows={**seen.rows, ROW: COMPLETE.key(51)}),
    "records were changed twice": lambda seen: replace(
        seen,
        truth=seen.truth.model_copy(
            update={"tables": {"t": {ROW: KeyTruth(forwarded=2, applied=2, runs={RUN: 2})}}}
        ),
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    found = judged(cell(), WRONG[what](good(cell()))).wrong
    assert [wrong for wrong in found if wrong.startswith(what)], found


def test_a_row_outside_of_the_scope_has_to_stay_as_it_was() -> None:
    seen = good(cell(scene=PARTITIONS))
    outside = next(number for number in range(RECORDS) if not PARTITIONS.covers(number))
    key = key_text(PARTITIONS.key(outside))
    touched = {**seen.rows, key: {**PARTITIONS.key(outside), "reindexVersion": {"N": str(VERSION)}}}
    assert judged(cell(scene=PARTITIONS), replace(seen, rows=touched)).wrong == ["records were lost"]


def test_totals_by_partition_have_to_be_right() -> None:
    seen = good(cell(scene=PARTITIONS))
    totals = {**seen.report["partitions"], "tenant-0": {"scanned": 11}}
    [wrong] = judged(cell(scene=PARTITIONS), reporting(seen, partitions=totals)).wrong
    assert wrong.startswith("partitions should be")


def test_work_that_was_not_done_is_noticed() -> None:
    of = cell(PROCESS)
    [wrong] = judged(of, replace(good(of), visits=Counter({"name of 1": 5}))).wrong
    assert wrong == "records are done that were not worked for"


@pytest.mark.parametrize(
    ("counted", "warnings", "wrong"),
    [
        (90, [], ""),
        (90 - 50, [WARNING], ""),
        (90 - 50, [], "deleted is below 90, and no warning says so"),
        (90 - 51, [WARNING], "deleted should be from 40 to 90"),
        (91, [WARNING], "deleted should be from 40 to 90"),
    ],
)
def test_deletions_after_a_crash_keep_their_bound(counted: int, warnings: list[str], wrong: str) -> None:
    of = cell(DELETE, crash=True)
    row = judged(of, reporting(good(of, deleted=counted), warnings=warnings))
    assert row.wrong == ([wrong] if wrong else [])
    assert (row.deleted, row.uncounted) == (90, 90 - counted)


def test_a_crash_that_hit_nothing_shows_nothing() -> None:
    of = cell(DELETE, crash=True)
    assert "nothing was injected" in judged(of, replace(good(of), lost=0)).wrong


def test_a_cancelled_job_adds_up_to_what_it_did() -> None:
    of = cell(cancelled=True)
    seen = good(of)
    half = {key: row for key, row in seen.rows.items() if key < key_text(COMPLETE.key(50))}
    rest = {key_text(COMPLETE.key(number)): of.row(number) for number in range(50, RECORDS)}
    stopped = {"state": "cancelled", "verification": None}
    some = reporting(replace(seen, rows=half | rest), tally={"scanned": 50, "updated": 50}, **stopped)
    assert judged(of, some).wrong == []
    less = reporting(some, tally={"scanned": 49, "updated": 49})
    assert judged(of, less).wrong == ["outcomes should be {'updated': 50}"]
    assert (
        "the report does not say that it was cancelled" in judged(of, reporting(some, state="complete")).wrong
    )


def test_a_sample_has_its_size() -> None:
    of = cell(scene=SAMPLE)
    seen = good(of)
    first = {key: row for key, row in seen.rows.items() if key < key_text(COMPLETE.key(20))}
    rest = {key_text(COMPLETE.key(number)): of.row(number) for number in range(20, RECORDS)}
    some = reporting(replace(seen, rows=first | rest), tally={"scanned": 20, "updated": 20}, verification=None)
    assert judged(of, some).wrong == []
    assert "a sample should be of 20" in judged(of, reporting(some, tally={"scanned": 19, "updated": 19})).wrong


#: Families that need no statements to strike.
BY_UPDATE_ITEM = {one.family or one.name for one in (*KINDS, *CRASHES) if not getattr(one, "partiql", False)}


def test_each_two_of_operation_scene_and_family_share_a_cell() -> None:
    """But for what a scene leaves nothing to strike of, and moments that a kind has not."""
    of_fault = {one.name: one.family or one.name for one in (*KINDS, *CRASHES)}
    # An unstamp shares rounds and delivery with the others, and meets what its own way of counting is about.
    all_cells = [c for c in cells(quick=False) if c.fault in of_fault and c.verb is not UNSTAMP]
    names = [(c.verb.name, c.scene.name, of_fault[c.fault]) for c in all_cells]
    for first, second in combinations(range(3), 2):
        pairs = set(product({n[first] for n in names}, {n[second] for n in names}))
        missing = pairs - {(n[first], n[second]) for n in names}
        assert missing <= {
            *(("UpdateItem", family) for family in of_fault.values() if family not in BY_UPDATE_ITEM),
            ("sample", "3 records refused for good"),
            ("process", "calls too large (413)"),  # it writes one record at a time
            ("redrive", "calls too large (413)"),  # as it does
        }, missing
    for scene in SCENES:
        assert {c.moment for c in all_cells if c.scene is scene} == set(Moment)
    for one in (*KINDS, *CRASHES):
        assert len({c.scene.name for c in all_cells if c.fault == one.name}) > 1, one.name


def test_records_that_are_refused_are_refused_as_statements_and_as_calls() -> None:
    kinds = {(fault.kind, fault.tables) for fault in refused("t", [{"id": {"S": "a"}}])}
    assert kinds == {(K, frozenset({"t"})) for K in (FaultKind.STATEMENT_ERROR, FaultKind.REFUSED)}


def test_the_summary_names_the_worst_of_a_kind() -> None:
    of = cell(DELETE, crash=True)
    rows = [judged(of, good(of, deleted=90 - less)) for less in (10, 40, 60)]
    lines = [line for line in summary(rows).splitlines() if line.startswith("| cut |")]
    assert lines == ["| cut | 3 | delete | 1 | 300 | 12 | 0 | 0 | 60 | NO: 1 of 3 do not |"]
