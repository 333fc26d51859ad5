"""Verification on every engine: what is behind is found, counted once, and named."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from reindexer.checks.verification import verify_segment
from reindexer.errors import EnvironmentFault
from reindexer.items import to_json_key
from reindexer.models import KeyList, Segment, Share, VerifyInput, VerifyResult
from reindexer.round_context import RoundContext
from tests.model_table import Killed
from tests.tables import Table
from tests.verifying import Verified, verified

MakeTable = Callable[..., Table]
AT_TARGET = {"reindexVersion": {"N": "7"}}


class Clock:
    """A context whose time passes only by waiting and by `step` seconds a look at it."""

    def __init__(self, step: float = 0.0, stop_after: int | None = None) -> None:
        self._now, self._step, self._looks, self._stop_after = 0.0, step, 0, stop_after
        self.waited = 0.0

    def now(self) -> float:
        self._now += self._step
        return self._now

    def heartbeat(self, progress: Any = None, *, immediate: bool = False) -> None: ...

    def stopping(self) -> bool:
        self._looks += 1
        return self._stop_after is not None and self._looks > self._stop_after

    def stale(self) -> bool:
        return False

    def rest(self, resting: bool) -> None: ...

    def wait(self, seconds: float) -> None:
        self._now += seconds
        self.waited += seconds


def verify(
    table: Table,
    context: RoundContext,
    *,
    version: int = 7,
    total: int = 3,
    keys: list[Any] | None = None,
    keep: bool = True,
    **more: Any,
) -> list[Verified]:
    """Every segment, or the keys."""
    parts = (
        [KeyList(keys=keys)] if keys is not None else [Segment(segment=n, total=total) for n in range(total)]
    )
    return [
        verified(
            VerifyInput(target=table.target(version), source=part, **more), table.client, context, keep=keep
        )
        for part in parts
    ]


def totals(parts: list[Verified]) -> tuple[int, int, int]:
    kept = [key for part in parts for key in part.kept]
    assert len(kept) == len(set(kept))
    return sum(part.scanned for part in parts), sum(part.behind for part in parts), len(kept)


def rounds(parts: list[Verified]) -> list[VerifyResult]:
    return [result for part in parts for result in part.results]


@pytest.fixture
def table(make_table: MakeTable, each_engine: Any) -> Table:
    """Forty rows: 30 at the target or past it, ten that are not."""
    table = make_table()
    keys = table.fill(40, **AT_TARGET)
    others: list[Any] = [{"N": "6"}, {"N": "-1"}, {"N": "6.99"}, {"S": "9"}, {"BOOL": True}, {"NULL": True}]
    table.put(*({**key, "reindexVersion": value} for key, value in zip(keys, others, strict=False)))
    table.put(*keys[6:10])  # no version at all
    table.put({**keys[10], "reindexVersion": {"N": "8"}}, {**keys[11], "reindexVersion": {"N": "7.0"}})
    return table


def test_rows_behind_are_those_missing_lower_or_of_another_type(table: Table) -> None:
    assert totals(verify(table, Clock())) == (40, 10, 10)


def test_without_a_place_to_keep_them_rows_behind_are_counted_only(table: Table) -> None:
    assert totals(verify(table, Clock(), total=1, keep=False)) == (40, 10, 0)


def test_it_goes_on_from_its_cursor_after_each_time_slice(table: Table) -> None:
    results = verify(table, Clock(step=1.0), total=1, seconds=0.5, share=Share(read_units=5))
    assert len(rounds(results)) > 3
    assert totals(results) == (40, 10, 10)


def test_it_stops_at_once_when_asked(table: Table) -> None:
    request = VerifyInput(target=table.target(), source=Segment(segment=0, total=1))
    result = verify_segment(request, table.client, Clock(stop_after=0))
    assert (result.scanned, result.done, result.cursor) == (0, False, None)


def test_named_keys_that_exist_are_counted(table: Table) -> None:
    keys = [to_json_key({name: row[name] for name in _names(table)}) for row in table.items()]
    gone = [{name: {kind: _other(kind)} for name, kind in _types(table).items()}]
    assert totals(verify(table, Clock(), keys=[*keys, *gone, *keys[:5]])) == (40, 10, 10)


def test_two_hundred_and_fifty_keys_are_read_by_the_hundred(make_table: MakeTable, each_engine: Any) -> None:
    table = make_table()
    keys = [to_json_key(key) for key in table.fill(250, **AT_TARGET)]
    results = verify(table, Clock(step=1.0), keys=keys, seconds=0.5)
    assert len(rounds(results)) > 1
    assert totals(results) == (250, 0, 0)


def test_every_row_of_many_pages_is_counted_once(make_table: MakeTable, each_engine: Any) -> None:
    table = make_table()
    table.fill(1500, **AT_TARGET, padding={"S": "x" * 2000})  # 3 MB: DynamoDB's pages end at 1 MB
    assert totals(verify(table, Clock(), total=2)) == (1500, 0, 0)
    assert totals(verify(table, Clock(), total=2, version=8)) == (1500, 1500, 1500)


def test_rows_that_grow_suddenly_are_counted_once(make_table: MakeTable, each_engine: Any) -> None:
    table = make_table()
    keys = table.fill(2100)
    # Whatever the order of the pages: in an engine that goes by key the large ones come last.
    large = sorted(keys, key=str)[1500:]
    table.put(*({**key, "padding": {"S": "x" * 4000}} for key in large))
    assert totals(verify(table, Clock(), total=1)) == (2100, 2100, 2100)


def test_it_keeps_to_its_read_units(make_table: MakeTable, dynamodb: Any) -> None:
    table = make_table()
    table.fill(60, **AT_TARGET, padding={"S": "x" * 3000})  # about a unit each
    clock = Clock()
    results = verify(table, clock, total=1, share=Share(read_units=4), seconds=1e9)
    used = sum(result.read_units for result in rounds(results))
    assert used > 40
    assert clock.waited >= (used - 8) / 4, "all but the first pages are waited for"


class _Throttled:
    """Answers the first calls with an error."""

    def __init__(self, client: Any, code: str, times: int, status: int = 400) -> None:
        self._client, self._code, self._left, self._status = client, code, times, status

    def __getattr__(self, name: str) -> Any:
        from botocore.exceptions import ClientError

        if self._left > 0:
            self._left -= 1
            response: Any = {
                "Error": {"Code": self._code, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": self._status},
            }

            def refuse(**_: Any) -> Any:
                raise ClientError(response, name)

            return refuse
        return getattr(self._client, name)


def test_throttles_are_waited_out_and_faults_returned(make_table: MakeTable, dynamodb: Any) -> None:
    table = make_table()
    keys = [to_json_key(key) for key in table.fill(10)]
    request = VerifyInput(target=table.target(), source=Segment(segment=0, total=1))
    for asked in (request, request.model_copy(update={"source": KeyList(keys=keys)})):
        throttled: Any = _Throttled(dynamodb, "ThrottlingException", 3)
        result = verify_segment(asked, throttled, Clock())
        assert (result.scanned, result.behind, result.done, result.fault) == (10, 10, True, None)
        denied: Any = _Throttled(dynamodb, "AccessDeniedException", 1)
        result = verify_segment(asked, denied, Clock())
        assert result.fault is not None
        assert (result.fault.code, result.done) == ("AccessDeniedException", False)
        down: Any = _Throttled(dynamodb, "InternalServerError", 10**6, 500)
        result = verify_segment(asked, down, Clock(step=0.01))
        assert result.fault is not None
        assert result.fault.code == "InternalServerError"
        busy: Any = _Throttled(dynamodb, "ThrottlingException", 10**6)
        result = verify_segment(asked, busy, Clock(step=0.01))
        assert (result.fault, result.done, result.scanned) == (None, False, 0)
        assert (result.throttled, result.throttle) == (True, None), "it does not say how far it reaches"


class _Dying(Clock):
    """Remembers each heartbeat, as the server does, and dies at one."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left, self._progress = at, None
        self.reached: VerifyResult | None = None

    def heartbeat(self, progress: Any = None, *, immediate: bool = False) -> None:  # noqa: ARG002
        self._progress = progress or self._progress
        self.reached = self._progress() if self._progress else None
        self._left -= 1
        if not self._left:
            raise Killed


@pytest.mark.parametrize("at", range(1, 6))
def test_a_lost_attempt_loses_no_count_and_no_key(make_table: MakeTable, dynamodb: Any, at: int) -> None:
    """Also where it dies between keeping a page's keys and counting the page."""
    table = make_table()
    table.fill(500)
    request = VerifyInput(
        target=table.target(), source=Segment(segment=0, total=1), share=Share(read_units=5), seconds=1e9
    )
    for dies_keeping in (False, True):
        found, context = Verified(), _Dying(at)
        heartbeat = context.heartbeat if dies_keeping else lambda: None

        def keep(keys: Any, partitions: Any, found: Any = found, heartbeat: Any = heartbeat) -> None:
            found.keep(keys, partitions)
            heartbeat()

        with pytest.raises(Killed):
            verify_segment(request, table.client, context, keep)
        assert context.reached is not None
        reached = found.fold(context.reached)
        assert not reached.done, "the table's identity is still to be checked"
        assert len(found.kept) >= reached.behind
        rest = verified(request.model_copy(update={"cursor": reached.cursor}), table.client, Clock())
        assert (found.scanned + rest.scanned, found.behind + rest.behind) == (500, 500)
        assert len(found.kept | rest.kept) == 500


def test_keys_that_cannot_be_kept_are_not_counted(make_table: MakeTable, dynamodb: Any) -> None:
    table = make_table()
    table.fill(10)
    request = VerifyInput(target=table.target(), source=Segment(segment=0, total=1))

    def denied(_keys: Any, _partitions: Any) -> None:
        raise EnvironmentFault("LedgerDenied", "no")

    def defect(_keys: Any, _partitions: Any) -> None:
        raise KeyError("oh")

    for keep, code in ((denied, "LedgerDenied"), (defect, "KeyError")):
        result = verify_segment(request, table.client, Clock(), keep)
        assert result.fault is not None
        assert (result.fault.code, result.scanned, result.done) == (code, 0, False)


def test_it_does_not_take_long(make_table: MakeTable, dynamodb: Any) -> None:
    table = make_table()
    table.fill(5000, **AT_TARGET)
    started = time.perf_counter()
    assert totals(verify(table, Clock(), total=2))[0] == 5000
    assert time.perf_counter() - started < 5.0  # seconds; 0.1 measured with nothing else running


def _names(table: Table) -> list[str]:
    return [attribute.name for attribute in table.key]


def _types(table: Table) -> dict[str, str]:
    return {attribute.name: attribute.type for attribute in table.key}


def _other(kind: str) -> str:
    return {"S": "gone", "N": "123456789", "B": "Z29uZQ=="}[kind]
