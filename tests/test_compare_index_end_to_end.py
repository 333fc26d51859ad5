"""Comparing a table with its search index on the real servers: planted differences found, none invented."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testbed.faults import Fault, FaultKind, FaultPlan
from testbed.faults.search import SearchFault, SearchFaultKind, SearchFaultPlan, SearchFaultProxy
from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.killed import outcome_though_killed
from tests.planted import Make, content, has_compared
from tests.searching import ask
from tests.tables import made_up_key
from tests.test_follow_end_to_end import Followed, drained
from tests.test_index_end_to_end import Indexed

pytest_plugins = ["tests.search_proxied"]

#: Of the records of `Planted`, by number: what somebody has done to their documents.
DAMAGED, REMOVED = (3, 150, 299), (7, 200)
STRANGERS = 4
SLOW, FAST = {"read_units_per_second": 40.0}, {"read_units_per_second": "unlimited"}
_KIND = SearchFaultKind
READ_FAULTS = (_KIND.SERVER_ERROR, _KIND.CUT, _KIND.THROTTLE)


class Planted:
    """An index of a table in which documents were damaged, removed and added, past its write alias."""

    def __init__(self, indexed: Indexed, made: str, search: str) -> None:
        self.indexed, self.made, self._search = indexed, made, search

    @classmethod
    async def planted(
        cls, stack: Stack, make_table: Make, proxy: SearchFaultProxy, search: str, **schema: Any
    ) -> Planted:
        indexed = Indexed(make_table, proxy, search, rows=300, **schema)
        settings = {"operation": {"settings": {"number_of_shards": 3}}}
        state, report = await outcome(await stack.start(indexed.job(**settings)))
        assert state == "complete", report
        planted = cls(indexed, indexed.assert_exact(report), search)
        for number in DAMAGED:
            planted.put(planted.id_of(number), {"somebody": "else", "_order": 1})
        for number in REMOVED:
            path = f"/{planted.made}/_doc/{planted.id_of(number)}?version={2**62}&version_type=external_gte"
            assert ask(search, "DELETE", path)[0] == 200
        for number in range(STRANGERS):
            key = made_up_key(indexed.table.key, 5000 + number)
            planted.put(planted._id(key), {"somebody": "else"})
        return planted

    def id_of(self, number: int) -> str:
        return self._id(made_up_key(self.indexed.table.key, number))

    @staticmethod
    def _id(key: dict[str, Any]) -> str:
        """Of made-up keys, none of which has to be escaped but in a URL."""
        values = [value for typed in key.values() for value in typed.values()]
        return "%7C".join(value if isinstance(value, str) else _base64(value) for value in values)

    def put(self, name: str, document: dict[str, Any]) -> None:
        path = f"/{self.made}/_doc/{name}?version={2**62}&version_type=external_gte"
        assert ask(self._search, "PUT", path, document)[0] in (200, 201)

    def job(self, **more: Any) -> dict[str, Any]:
        beside = {"search": self.indexed.proxy.endpoint_url, "alias": self.indexed.alias}
        operation = {"kind": "compare", "with": beside, **more.pop("operation", {})}
        return {"table": self.indexed.table.name, "total_segments": 3, **more, "operation": operation}

    def assert_found(self, report: dict[str, Any], found: list[dict[str, Any]]) -> None:
        """What is in the ledger, by key, and the counts."""
        key = self.indexed.table.key
        names = {json.dumps(made_up_key(key, n), default=_base64): n for n in [*range(300), *range(5000, 5010)]}
        kinds = {names[json.dumps(difference["key"])]: difference["kind"] for difference in found}
        assert len(kinds) == len(found)  # each once
        assert kinds == {
            **dict.fromkeys(DAMAGED, "different"),
            **dict.fromkeys(REMOVED, "missing"),
            **dict.fromkeys(range(5000, 5000 + STRANGERS), "extraneous"),
        }
        counts = report["comparison"]["counts"]
        assert (counts["scanned"], counts["equal"]) == (300, 300 - len(DAMAGED) - len(REMOVED))
        assert (counts["different"], counts["missing"]) == (len(DAMAGED), len(REMOVED))
        documents = 300 - len(REMOVED) + STRANGERS
        assert (counts["other_scanned"], counts["extraneous"]) == (documents, STRANGERS)
        assert counts["matched"] == documents - STRANGERS
        assert report["balanced"]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


async def listed(stack: Stack, job: str) -> list[dict[str, Any]]:
    code, out, err = await asyncio.to_thread(
        command, dict(stack.environment), "differences", job, "--json", "--limit", "1000"
    )
    assert code == 0, err
    return list(json.loads(out)["differences"])


@pytest.mark.parametrize(
    ("hash_type", "range_type"),
    [("S", None), *(pytest.param(*pair, marks=pytest.mark.nightly) for pair in (("N", "B"), ("S", "N")))],
)
async def test_planted_differences_are_found_and_none_is_invented(
    quiet: Stack,
    make_table: Make,
    search_proxy: SearchFaultProxy,
    search: str,
    hash_type: str,
    range_type: str | None,
) -> None:
    schema = {"hash_type": hash_type, "range_type": range_type}
    planted = await Planted.planted(quiet, make_table, search_proxy, search, **schema)
    handle = await quiet.start(planted.job())
    state, report = await outcome(handle)
    assert state == "complete", report
    found = await listed(quiet, handle.id)
    planted.assert_found(report, found)
    [different, *_] = [each for each in found if each["kind"] == "different"]
    assert {"path": "somebody", "table": None, "other": '{"S": "else"}'} in different["attributes"]


async def test_one_call_in_ten_failing_on_both_sides_changes_nothing(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    planted = await Planted.planted(quiet, make_table, search_proxy, search)
    kinds = (FaultKind.SERVER_ERROR, FaultKind.THROTTLE, FaultKind.CUT)
    tables = frozenset((planted.indexed.table.name,))
    faults = tuple(Fault(kind=kind, probability=0.03, operations="reads", tables=tables) for kind in kinds)
    handle = await quiet.start(planted.job())
    quiet.proxy.set_plan(FaultPlan(seed=5, faults=faults))
    search_proxy.set_plan(
        SearchFaultPlan(
            faults=tuple(SearchFault(kind=kind, probability=0.1, operations="reads") for kind in READ_FAULTS)
        )
    )
    state, report = await outcome(handle)
    struck = sum(search_proxy.truth().injected.values())
    quiet.proxy.set_plan(FaultPlan())
    search_proxy.set_plan(SearchFaultPlan())
    assert (state, struck > 0) == ("complete", True), report
    planted.assert_found(report, await listed(quiet, handle.id))


@pytest.mark.nightly
@pytest.mark.long
async def test_it_survives_workers_that_are_killed(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    planted = await Planted.planted(quiet, make_table, search_proxy, search)
    beside = quiet.beside(f"compare-{uuid.uuid4().hex[:8]}")
    moments = [partial(has_compared, scanned) for scanned in (1, 150)]
    state, report = await outcome_though_killed(beside, planted.job(limits=SLOW), moments, FAST)
    assert state == "complete", report
    planted.assert_found(report, await listed(quiet, report["job"]))


@pytest.mark.nightly
async def test_live_writers_beside_a_follow_invent_no_difference(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    """Documents lag behind what is written: with `lag_seconds` a difference has to last."""
    followed = Followed(make_table, search_proxy, search, rows=200)
    follow = await followed.start(quiet)
    await until(follow, drained, seconds=150)
    [made] = followed.behind_alias()
    planted = Planted(followed, made, search)
    for number in DAMAGED[:2]:
        planted.put(planted.id_of(number), {"somebody": "else", "_order": 1})
    writing = asyncio.ensure_future(asyncio.to_thread(write, followed, 8.0))
    state, report = await outcome(await quiet.start(planted.job(operation={"lag_seconds": 3.0})))
    writes = await writing
    await follow.cancel()
    await outcome(follow)
    counts = report["comparison"]["counts"]
    assert (state, writes > 50) == ("complete", True), report
    assert (counts["missing"], counts["extraneous"], counts["different"]) == (0, 0, 2), report["comparison"]


def write(followed: Followed, seconds: float) -> int:
    """Records that change, come and go, but for those whose documents somebody has damaged."""
    table, end, writes = followed.table, time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number = 100 + writes * 7 % 120
        if number not in DAMAGED:
            key = made_up_key(table.key, number)
            table.put({**key, **content(writes)})
            if number >= 200:
                table.client.delete_item(TableName=table.name, Key=key)
        writes += 1
    return writes


async def test_named_keys_are_compared_by_the_command(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str
) -> None:
    planted = await Planted.planted(quiet, make_table, search_proxy, search)
    table, name = planted.indexed.table, f"compare-{uuid.uuid4().hex[:8]}"
    asked = ("compare", table.name, "--search", search, "--yes", "--wait", "--workflow-id")
    by_alias = (*asked, name, "--alias", planted.indexed.alias)
    numbers = (DAMAGED[0], REMOVED[0], 5000, 1, 9999)
    keys = [f"--key={json.dumps(plain(made_up_key(table.key, number)))}" for number in numbers]
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), *by_alias, *keys, "--json")
    assert code == 1, err
    counts = json.loads(out)["comparison"]["counts"]
    found = {kind: counts[kind] for kind in ("equal", "different", "missing", "extraneous", "absent")}
    assert found == {"equal": 1, "different": 1, "missing": 1, "extraneous": 1, "absent": 2}
    kinds = sorted(difference["kind"] for difference in await listed(quiet, name))
    assert kinds == ["different", "extraneous", "missing"]
    equal = (*asked, f"{name}-2", "--search-index", planted.made, keys[3])
    code, out, err = await asyncio.to_thread(command, dict(quiet.environment), *equal)
    assert (code, "equal" in out) == (0, True), (out, err)


def plain(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, typed in key.items() for value in typed.values()}


HALVES = """
from reindexer import Skip


def document(item, params):
    number = int(item["id"].rsplit("-", 1)[1])
    if number == 4:
        raise ValueError("four")
    return Skip("odd") if number % 2 else {"n": number}
"""


async def test_documents_that_a_job_makes_are_made_again(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str, tmp_path: Path
) -> None:
    """Records that it leaves out are absent; of one that it fails on no document would be right."""
    (tmp_path / "halves.py").write_text(HALVES)
    indexed = Indexed(make_table, search_proxy, search, rows=0)
    indexed.table.put(*({"id": {"S": f"r-{number}"}} for number in range(40)))
    settings = {"REINDEXER_JOBS": str(tmp_path), "REINDEXER_PROCESSES": "1"}
    beside = quiet.beside(f"halves-{uuid.uuid4().hex[:8]}", settings)
    operation = {"job": "halves", "mapping": {"properties": {"n": {"type": "long"}}}, "move_alias": "always"}
    with beside.workers as workers:
        workers.come_up()
        _, made = await outcome(await beside.start(indexed.job(operation=operation)))
        planted = Planted(indexed, made["index"]["index"], search)
        handle = await beside.start(planted.job(operation={"job": "halves"}))
        state, report = await outcome(handle)
    counts = report["comparison"]["counts"]
    found = {kind: counts[kind] for kind in ("equal", "missing", "absent", "matched")}
    assert (state, found) == ("complete", {"equal": 19, "missing": 1, "absent": 20, "matched": 19}), report
    [difference] = await listed(quiet, handle.id)
    assert difference["key"] == {"id": {"S": "r-4"}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"with": {}}, "operation.with: name either an alias or an index"),
        ({"with": {"alias": "nothing-of-that-name"}}, "there is no alias nothing-of-that-name"),
        ({"scope": {"kind": "sample", "limit": 5}}, "scope: an index is compared whole or by keys"),
        ({"leave_out": ["a"]}, "leave_out is for a table"),
        ({"job": "no_such_job"}, "no_such_job"),
        ({"skip_expired": True}, "skip_expired: an expired record may have a document"),
    ],
)
async def test_what_cannot_be_compared_is_refused_in_a_sentence(
    quiet: Stack, make_table: Make, search_proxy: SearchFaultProxy, search: str, given: Any, says: str
) -> None:
    table = make_table()
    beside = {"search": search, **given.pop("with", {"alias": "none"})}
    of_job = {name: given[name] for name in ("scope", "skip_expired") if name in given}
    more = {name: value for name, value in given.items() if name not in of_job}
    operation = {"kind": "compare", "with": beside, **more}
    state, failure = await outcome(await quiet.start({"table": table.name, "operation": operation, **of_job}))
    assert says in str(failure), (state, failure)
