"""The retry loop: what it does about each kind of answer, one case at a time."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import pytest

from reindexer.answers import Action, Answers, CallFailed, Failure
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.wire import Stamp
from reindexer.items import Skip, WireItem, Write
from reindexer.models import CLOCK_WRONG, Isolated, Share, Stop
from reindexer.operations import make_operation
from reindexer.rounds.delivery import Delivery
from reindexer.rounds.pending_write import Patience, PendingWrite
from reindexer.sinks.in_place_answers import InPlaceAnswers
from reindexer.sinks.table import MAX_BYTES, make_sink
from reindexer.tally import Outcome
from reindexer.throttle import Budget
from tests.driving import PATIENCE, FakeContext, target
from tests.model_table import ModelTable, Plan

STAMP = Stamp("reindexVersion", "reindexRun", 7, "run-1")


class Bench:
    """A delivery over a model table, and what became of each record."""

    def __init__(
        self,
        rows: int,
        *plans: Plan,
        patience: Patience = PATIENCE,
        operation: Any = None,
        ahead: Executor | None = None,
        share: Share = Share(),  # noqa: B008
        **how: Any,
    ) -> None:
        table = [{"id": {"S": f"row-{number:03}"}} for number in range(rows)]
        self.model = ModelTable(table, plan=lambda n: plans[n - 1] if n <= len(plans) else None)
        self.context = FakeContext(self.model.clock)
        aim = target(**how)
        calls = TableClient(self.model, "t")  # type: ignore[arg-type]
        asked = operation or make_operation(aim, STAMP)
        self.meaning = InPlaceAnswers(calls, asked, STAMP, self.context, patience)
        self.delivery = Delivery(
            sink=make_sink(calls, aim, STAMP),
            meaning=self.meaning,
            budget=Budget(share, self.context),
            context=self.context,
            deadline=self.context.now() + 30.0,
            patience=patience,
            ahead=ahead,
        )
        self.results: dict[int, Outcome | Isolated] = {}

    def run(self, write: Write = Write(), unknown: bool = False) -> Stop | None:  # noqa: B008
        pending = [
            PendingWrite(number, {"id": dict(row["id"])}, write, unknown=unknown)
            for number, row in enumerate(self.model.first.values())
        ]
        return self.delivery.deliver(pending, self._settled)

    def _settled(self, work: PendingWrite, result: Outcome | Isolated) -> None:
        assert work.position not in self.results, "settled twice"
        self.results[work.position] = result

    @property
    def outcomes(self) -> list[str]:
        return [
            str(getattr(self.results[number], "error", self.results[number])) for number in sorted(self.results)
        ]

    def identity(self, number: int) -> Any:
        return list(self.model.first)[number]


def test_a_healthy_table_takes_25_records_a_call() -> None:
    bench = Bench(60)
    assert bench.run() is None
    assert [len(batch) for batch in bench.model.batches] == [25, 25, 10]
    assert set(bench.outcomes) == {"updated"}
    assert bench.context.waited == []


def test_update_item_goes_one_by_one() -> None:
    bench = Bench(10, writer="update_item")
    assert bench.run() is None
    assert [len(batch) for batch in bench.model.batches] == [1] * 10


def test_only_what_was_throttled_is_sent_again_and_waiting_goes_through_the_context() -> None:
    bench = Bench(25, Plan(statements={3: "throttled", 4: "throttled"}))
    assert bench.run() is None
    assert [len(batch) for batch in bench.model.batches][:1] == [25]
    assert {key for batch in bench.model.batches[1:] for key in batch} == {bench.identity(3), bench.identity(4)}
    assert bench.delivery.attempts["throttled"] == 2
    assert bench.context.waited


@pytest.mark.parametrize("fault", ["500 after", "timeout after", "502 after"])
def test_a_write_applied_behind_an_error_is_counted_once_and_as_ambiguous(fault: str) -> None:
    bench = Bench(5, Plan(call=fault))
    assert bench.run() is None
    assert set(bench.outcomes) == {"updated"}
    assert bench.delivery.attempts["ambiguous"] == 5
    assert set(bench.model.changed.values()) == {1}


def test_a_write_lost_before_an_error_is_written_again_and_not_ambiguous() -> None:
    bench = Bench(5, Plan(call="500 before"))
    assert bench.run() is None
    assert set(bench.outcomes) == {"updated"}
    assert bench.delivery.attempts["ambiguous"] == 0


def test_a_late_write_that_lands_after_the_second_is_refused_by_it() -> None:
    bench = Bench(1, Plan(call="timeout late", late_by=3))
    for _ in range(3):  # calls enough for it to land
        bench.results.clear()
        assert bench.run() is None
    assert not bench.model.changed_twice


def test_a_connection_that_never_was_leaves_nothing_unknown() -> None:
    bench = Bench(5, *[Plan(call="no connection")] * 60)
    assert bench.run() is Stop.UNAVAILABLE
    assert bench.delivery.unknown == []
    assert bench.results == {}


def test_an_outage_isolates_no_record_and_hands_back_with_everything_unknown() -> None:
    bench = Bench(30, *[Plan(call="500 before")] * 400)
    assert bench.run() is Stop.UNAVAILABLE
    assert bench.results == {}
    assert len(bench.delivery.unknown) >= 25


def test_an_isolated_record_is_no_proof_for_another_that_the_service_is_there() -> None:
    """Else one lucky probe in an outage would isolate every record under way."""
    bench = Bench(2, patience=Patience(split_after=1, isolate_after=2))
    probes = iter([True])
    bench.delivery._sink.healthy = lambda: next(probes, False)  # type: ignore[method-assign]
    for number in range(2):
        bench.model.failing[bench.identity(number)] = "500 before"
    assert bench.run() is Stop.UNAVAILABLE
    assert len(bench.results) == 1


def test_a_poison_record_is_found_by_trying_one_by_one_and_its_neighbours_go_through() -> None:
    bench = Bench(25)
    bench.model.poison.add(bench.identity(7))
    assert bench.run() is None
    assert bench.outcomes.count("updated") == 24
    isolated = bench.results[7]
    assert isinstance(isolated, Isolated)
    assert (isolated.given_up, isolated.unknown) == (True, False)


def test_a_record_that_keeps_failing_leaves_while_the_others_go_through() -> None:
    bench = Bench(25)
    bench.model.failing[bench.identity(7)] = "500 before"
    assert bench.run() is None
    isolated = bench.results[7]
    assert isinstance(isolated, Isolated)
    assert (isolated.given_up, isolated.unknown, isolated.attempts) == (False, True, 5)
    assert bench.outcomes.count("updated") == 24


def test_a_failing_record_whose_write_was_applied_is_found_by_its_stamp() -> None:
    bench = Bench(25, Plan(statements={7: "500 after"}))
    assert bench.run() is None
    assert set(bench.outcomes) == {"updated"}
    assert bench.delivery.attempts["ambiguous"] == 1


def test_the_end_of_the_slice_is_seen_between_two_batches() -> None:
    bench = Bench(1000)
    bench.delivery._deadline = bench.context.now() + 0.045  # a call takes 0.01 s
    assert bench.run() is Stop.SLICE
    assert len(bench.model.batches) == 5


def test_access_denied_parks_and_keeps_what_was_settled() -> None:
    bench = Bench(50)
    bench.model.denied_from = 2
    assert bench.run() is Stop.FAULT
    assert bench.delivery.fault
    assert bench.delivery.fault.code == "AccessDeniedException"
    assert bench.outcomes == ["updated"] * 25


def test_a_code_that_is_unknown_is_no_records_fault_alone_or_in_company() -> None:
    for write_alone in (False, True):
        bench = Bench(30, writer="update_item" if write_alone else "partiql")
        bench.model.poison.add(bench.identity(7))
        bench.model.refusal = "NeverHeardOf"
        assert bench.run() is Stop.FAILED
        assert bench.delivery.fault
        assert bench.delivery.fault.code == "NeverHeardOf"
        assert bench.outcomes == ["updated"] * 29, "those that it does not concern go through"


def test_a_statement_answered_by_a_code_that_is_unknown_is_not_isolated() -> None:
    bench = Bench(25)
    bench.model.failing[bench.identity(7)] = "NeverHeardOf"
    assert bench.run() is Stop.FAILED
    assert bench.delivery.fault
    assert bench.outcomes == ["updated"] * 24


def test_a_code_that_is_unknown_may_pass() -> None:
    bench = Bench(25, Plan(call="NeverHeardOf"), Plan(call="NeverHeardOf"))
    assert bench.run() is None
    assert bench.outcomes == ["updated"] * 25


def test_a_clock_that_is_wrong_ends_the_round_at_once_and_blames_no_record() -> None:
    bench = Bench(50, Plan(), Plan(call="RequestTimeTooSkewed"))
    assert bench.run() is Stop.FAULT
    assert bench.delivery.fault
    assert bench.delivery.fault.code == CLOCK_WRONG
    assert bench.outcomes == ["updated"] * 25
    assert bench.delivery.unknown == []


def test_a_frozen_attempt_writes_nothing_more() -> None:
    bench = Bench(5)
    bench.context.frozen = True
    assert bench.run() is Stop.STALE
    assert bench.model.batches == []


def test_an_answer_with_too_few_statements_leaves_all_of_them_unknown() -> None:
    bench = Bench(10, Plan(call="short answer"))
    assert bench.run() is None
    assert set(bench.outcomes) == {"updated"}
    assert bench.delivery.attempts["ambiguous"] == 10


def _refused(*writers: tuple[str, int], strip: bool = False) -> Bench:
    bench = Bench(1, Plan(writers=writers, strip_items=strip))
    assert bench.run() is None
    return bench


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize(
    ("writer", "outcome"),
    [("bump", "superseded"), ("same version", "current"), ("delete", "vanished"), ("touch", "updated")],
)
def test_a_refused_write_is_settled_by_what_is_stored(writer: str, outcome: str, strip: bool) -> None:
    bench = _refused((writer, 0), strip=strip)
    assert bench.outcomes == [outcome]
    read = strip and outcome not in ("updated",)
    assert ("get" in bench.model.log) == (read or outcome == "vanished")


@pytest.mark.parametrize(
    "read", ["500 before", "timeout before", "throttled", "unprocessed half", "unprocessed all"]
)
def test_a_refusal_without_its_item_is_settled_only_by_a_complete_read(read: str) -> None:
    writers = (("bump", 0), ("delete", 1), ("same version", 2))
    bench = Bench(4, Plan(writers=writers, strip_items=True), Plan(call=read), Plan(call=read))
    assert bench.run() is None
    assert bench.outcomes == ["superseded", "vanished", "current", "updated"]


def test_a_read_that_fails_makes_no_write_unknown() -> None:
    reads = [Plan(call="500 before")] * 9  # as many as are tried before it is given up
    once = Patience(isolate_after=1)
    bench = Bench(1, Plan(writers=(("bump", 0),), strip_items=True), *reads, patience=once)
    assert bench.run() is None
    isolated = bench.results[0]
    assert isinstance(isolated, Isolated)
    assert not isolated.unknown


def test_a_refusal_is_no_proof_against_an_earlier_unknown_write() -> None:
    """A race keeps the flag: the unanswered write may still land."""
    always = [Plan(writers=(("replace", 0),))] * 3
    bench = Bench(1, Plan(call="500 before"), *always, patience=Patience(races=0))
    assert bench.run(Write(guards={"x": {"S": "never"}})) is None
    isolated = bench.results[0]
    assert isinstance(isolated, Isolated)
    assert isolated.unknown


class _Leaving:
    """An operation that leaves every record alone when it is asked again."""

    reads = None

    def decide(self, _item: WireItem) -> Write | Skip:
        return Skip("no longer")


class _Raising:
    reads = None

    def decide(self, _item: WireItem) -> Write | Skip:
        raise ValueError("what\nis this")


NEVER = Write(guards={"x": {"S": "never"}})


def test_after_a_race_the_operation_is_asked_again() -> None:
    bench = Bench(1, operation=_Leaving())
    assert bench.run(NEVER) is None
    assert bench.outcomes == ["filtered"]
    assert bench.model.changed == {}


def test_a_record_to_be_left_alone_is_fenced_first_when_a_write_may_yet_land() -> None:
    bench = Bench(1, operation=_Leaving())
    assert bench.run(NEVER, unknown=True) is None
    assert bench.outcomes == ["updated"]  # it carries our stamp now: nothing late can change it


def test_what_the_jobs_function_raises_is_that_records_failure() -> None:
    bench = Bench(1, operation=_Raising())
    assert bench.run(NEVER) is None
    isolated = bench.results[0]
    assert isinstance(isolated, Isolated)
    assert (isolated.error, isolated.message, isolated.given_up) == ("ValueError", "what is this", True)


def test_a_record_that_others_keep_changing_is_isolated_after_so_many_races() -> None:
    bench = Bench(1)
    assert bench.run(NEVER) is None  # a touch, asked again, has no guard: it goes through
    bench = Bench(1, operation=type("Stubborn", (), {"reads": None, "decide": lambda _self, _item: NEVER})())
    assert bench.run(NEVER) is None
    isolated = bench.results[0]
    assert isinstance(isolated, Isolated)
    assert (isolated.error, isolated.attempts, bench.delivery.attempts["conflicts"]) == ("Conflict", 11, 11)


def test_a_batch_stays_below_the_size_of_a_call() -> None:
    bench = Bench(25)
    assert bench.run(Write(sets={"text": {"S": "x" * 390_000}})) is None
    assert max(len(batch) for batch in bench.model.batches) == MAX_BYTES // 390_011
    assert set(bench.outcomes) == {"updated"}


def test_records_are_begun_as_they_are_sent_and_not_all_at_once() -> None:
    bench = Bench(100)
    begun: list[int] = []

    def pending() -> Any:
        for number, row in enumerate(bench.model.first.values()):
            assert len(begun) - len(bench.results) < 25 + 1
            begun.append(number)
            yield PendingWrite(number, {"id": row["id"]}, Write())

    assert bench.delivery.deliver(pending(), bench._settled) is None
    assert len(begun) == 100


class _Failing:
    """A read that is refused as a whole."""

    def __init__(self, calls: TableClient) -> None:
        self.most_keys = 0
        self._calls = calls

    def get_some(self, keys: list[Any], projection: Any) -> Any:
        if len(keys) > 1:
            raise CallFailed(Failure("ValidationException", "one of them", Action.GIVE_UP))
        return self._calls.get_some(keys, projection)


def test_a_read_refused_as_a_whole_gives_no_record_up_before_it_was_read_alone() -> None:
    bench = Bench(3, Plan(writers=(("bump", 0), ("delete", 1), ("bump", 2)), strip_items=True))
    bench.meaning._table = _Failing(bench.meaning._table)  # type: ignore[assignment]
    bench.model.plan = lambda _: Plan(writers=(("bump", 0), ("delete", 1), ("bump", 2)), strip_items=True)
    assert bench.run() is None
    assert bench.outcomes == ["superseded", "vanished", "superseded"]


def test_consumed_units_are_estimated_where_none_are_reported() -> None:
    bench = Bench(1)
    bench.delivery._sink.attempt = lambda writes: Answers([None] * len(writes), None)  # type: ignore[method-assign]
    assert bench.run() is None
    assert bench.delivery.write_units == 1.0
