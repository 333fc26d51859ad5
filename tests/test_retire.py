"""`reindexer retire`: old indexes are listed and removed, and none that someone uses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from testbed.job import outcome, until
from testbed.stack import Stack
from tests.cli import command
from tests.planted import content
from tests.searching import ask
from tests.tables import Table, made_up_key

Make = Callable[..., Table]


class Built:
    """A table, an alias, and jobs that index it."""

    def __init__(self, quiet: Stack, make_table: Make, search: str) -> None:
        self.quiet, self.search, self.alias = quiet, search, f"old-{uuid.uuid4().hex[:8]}"
        self.table = make_table()
        self.table.put(*({**made_up_key(self.table.key, n), **content(n)} for n in range(40)))

    def job(self, move: str = "complete", **more: Any) -> dict[str, Any]:
        to = {"search": self.search, "alias": self.alias}
        operation = {"kind": "index", "to": to, "move_alias": move}
        return {"table": self.table.name, "total_segments": 1, **more, "operation": operation}

    async def build(self, move: str = "complete") -> str:
        state, report = await outcome(await self.quiet.start(self.job(move)))
        assert state == "complete", report
        return str(report["index"]["index"])

    def retire(self, *more: str) -> tuple[int, str, str]:
        return command(dict(self.quiet.environment), "retire", self.alias, "--to", self.search, *more)

    def kept(self, *more: str) -> dict[str, str]:
        """Why each index stays, as `--json` says it."""
        code, out, err = self.retire("--json", *more)
        found = json.loads(out)
        assert found["alias"] == self.alias
        assert code == (0 if all(index["kept"] for index in found["indexes"]) else 2), err
        return {index["index"]: index["kept"] for index in found["indexes"]}

    def there(self) -> list[str]:
        status, answer = ask(self.search, "GET", f"/{self.alias}-*/_alias")
        return sorted(answer) if status == 200 else []


@pytest.fixture
def built(quiet: Stack, make_table: Make, search: str) -> Built:
    return Built(quiet, make_table, search)


async def test_old_indexes_are_listed_and_removed_and_what_is_used_stays(built: Built) -> None:
    first, second, third = [await built.build() for _ in range(3)]
    newer = await built.build("never")
    assert built.kept() == {
        first: "", second: "", third: "readers have it", newer: "newer than what readers have"
    }  # fmt: skip
    assert built.kept("--keep", "1")[second] == "one of the 1 newest old ones"
    assert built.kept("--newer")[newer] == ""
    code, out, err = built.retire()
    assert (code, "nothing was removed: there is no terminal" in err) == (2, True), err
    assert (out.count("to be removed"), out.count("kept: "), out.count("  40 ")) == (2, 2, 4), out
    assert len(built.there()) == 4

    ask(built.search, "POST", "/_aliases", {"actions": [{"add": {"index": first, "alias": f"{built.alias}x"}}]})
    assert built.kept()[first] == f"alias {built.alias}x points at it"
    code, out, err = built.retire("--yes")
    assert (code, "1 index removed" in out) == (0, True), err
    assert built.there() == [first, third, newer]
    code, out, err = built.retire("--yes", "--newer", "--json")
    removed = [index["index"] for index in json.loads(out)["indexes"] if index["removed"]]
    assert (code, removed) == (0, [newer]), err
    code, _, err = built.retire()
    assert (code, "nothing to remove" in err) == (0, True), err


async def test_what_a_running_job_writes_to_is_kept(built: Built) -> None:
    old, _ = [await built.build() for _ in range(2)]
    handle = await built.quiet.start(built.job(limits={"records_per_second": 5}))
    await until(handle, lambda seen: seen["tally"]["updated"] > 0)
    kept = built.kept("--newer")
    assert [why for why in kept.values() if "writes to it" in why] == [f"job {handle.id} writes to it"]
    assert kept[old] == ""
    await handle.cancel()
    assert (await outcome(handle))[0] == "CancelledError"
    assert list(built.kept("--newer").values()) == ["", "readers have it", ""]


def test_indexes_of_others_are_none_of_ours(built: Built) -> None:
    for name in (f"{built.alias}-5", f"{built.alias}-eu-7"):
        assert ask(built.search, "PUT", f"/{name}", {})[0] == 200
    code, out, err = built.retire("--yes")
    assert (code, f"no job has made an index for the alias {built.alias}" in out) == (0, True), err
    assert len(built.there()) == 2


def test_what_cannot_be_asked_is_said(built: Built) -> None:
    environment = dict(built.quiet.environment)
    code, _, err = command(environment, "retire", "cities")
    assert (code, "--to: is missing" in err) == (2, True), err
    code, _, err = command(environment, "retire", "cities", "--to", "http://127.0.0.1:9")
    assert (code, "does not answer" in err) == (3, True), err
    code, _, err = command(environment, "retire", "cities", "--to", built.search, "--auth", "env:NOT_SET_HERE")
    assert (code, "NOT_SET_HERE" in err) == (2, True), err
