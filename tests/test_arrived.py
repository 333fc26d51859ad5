"""Whether what a job wrote has arrived: a follow that is asked until it has, and an index that is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import activities.follows as follows
import starter
from activities.follows import Follow, FollowSeen, watched, with_given_up
from commands.input.exits import Exit
from commands.temporal.ending import Ending
from commands.temporal.follows import seen_in
from commands.temporal.status import JobStatus
from reindexer.checks import arrived
from reindexer.checks.arrived import Absent, documents_at
from reindexer.items import key_text, to_json_key
from reindexer.ledger import Ledger
from reindexer.models import FollowArrival, JobProgress, QuarantineEntry, ReadIndex
from reindexer.search.client import SearchClient
from reindexer.search.document_ids import id_of
from reindexer.settings import settings
from reindexer.tally import Tally
from tests.planted import Make
from tests.reports import a_report
from tests.searching import ask, bulk, index_action, own_index
from tests.tables import Table

END = datetime(2026, 1, 2, tzinfo=UTC)
BEFORE, AFTER = END.isoformat(), (END + timedelta(seconds=0.001)).isoformat()
VERSION = 1_795_771_481_241  # of milliseconds, beyond what 32 bits hold


def status(workers: bool | None = True, ending: Ending | None = None, **progress: Any) -> JobStatus:
    fields: dict[str, Any] = {"state": "following", "drained": True, **progress}
    return JobStatus("follow", "r", "running", END, JobProgress(**fields), workers, ending)


async def watch(monkeypatch: pytest.MonkeyPatch, *answers: JobStatus, seconds: float = 60) -> FollowArrival:
    """What is found by these answers, the last of which is repeated."""
    monkeypatch.setattr(follows, "_LOOK", 0.0)
    coming = list(answers)

    async def answer() -> FollowSeen:
        return seen_in(coming.pop(0) if len(coming) > 1 else coming[0])

    return await watched(answer, Follow("follow", "r", "cities-1"), END, seconds)


# ── Follows ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_is_confirmed_once_everything_is_settled_and_nothing_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await watch(
        monkeypatch,
        status(),
        status(settled_through=BEFORE),
        status(settled_through=AFTER, isolated=2),
        status(),  # a round has just begun and does not know how far it is: what was known holds
    )
    assert (found.confirmed, found.settled_through, found.why) == (True, AFTER, "")


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (status(settled_through=BEFORE), "it has not come that far (following)"),
        (status(state="paused", reason="deploy"), "it has not come that far (paused: deploy)"),
        (status(settled_through=AFTER, drained=False), "readers do not have its index yet (following)"),
        (status(settled_through=AFTER, isolated=1), "1 record still being tried again (following)"),
        (status(workers=False, settled_through=AFTER), "no worker answers"),
        (status(ending=Ending(Exit.INCOMPLETE, None)), "it has ended"),
    ],
)
async def test_when_time_is_up_it_says_why(monkeypatch: pytest.MonkeyPatch, last: JobStatus, why: str) -> None:
    found = await watch(monkeypatch, last, seconds=0)
    assert (found.confirmed, found.why) == (False, why)
    assert found.answered == (why != "no worker answers")


# ── Input ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--index", "cities"], "--search: is missing"),
        (["--search", "http://localhost:9200"], "--index: is missing"),
        (["--search", "localhost", "--index", "cities"], "--search: must be http:// or https://"),
        (["--search", "http://localhost:9200", "--index", "Cities*"], "--index: 'Cities*' cannot be"),
        (
            ["--search", "http://localhost:9200", "--index", "cities", "--auth", "me:secret"],
            "--auth: must be aws",
        ),
        (["--timeout", "-1"], "--timeout"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    assert starter.run(["confirm", "reindex-cities", *options]) == 2
    printed = capsys.readouterr()
    assert (printed.out, sentence in printed.err) == ("", True), printed.err


# ── An index that somebody else feeds ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def here(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger, where commands find it; no Temporal server is there."""
    monkeypatch.setenv("REINDEXER_LEDGER_TABLE", ledger.table)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")  # the discard port
    settings.cache_clear()
    yield ledger
    settings.cache_clear()


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({"state": "running"}, [], "has not ended"),
        ({"operation": {"kind": "verify"}, "writer": "none"}, [], "wrote nothing to cities (verify)"),
        ({"operation": {"kind": "index"}, "writer": "bulk"}, [], "wrote nothing to cities (index)"),
        ({"operation": {"kind": "unstamp"}}, ["--search", "http://h:9", "--index", "c"], "leaves no version"),
    ],
)
def test_a_job_of_which_nothing_can_arrive_is_refused(
    here: Ledger,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    options: list[str],
    sentence: str,
) -> None:
    here.reports.put(a_report(**changes))
    assert starter.run(["confirm", "reindex-cities", "--run", "a1b2c3", *options]) == 2
    assert sentence in capsys.readouterr().err
    assert starter.run(["confirm", "reindex-cities", "--run", "another", *options]) == 2
    assert "no report of run another" in capsys.readouterr().err


def test_what_a_follow_gave_up_since_the_job_began_is_not_there(here: Ledger, make_table: Make) -> None:
    table = make_table()
    follow, [early, late] = Follow("follow-cities", "r", "cities-1"), table.fill(2)
    for key, minutes in ((early, -1), (late, 1)):
        here.failures.add(
            QuarantineEntry(
                job=follow.job,
                run=follow.run,
                table_arn=table.arn,
                version=1,
                stamp="r",
                key=to_json_key(key),
                error="mapper_parsing_exception",
                message="size",
                attempts=12,
                applied="no",
                at=END + timedelta(minutes=minutes),
            )
        )
    said = FollowArrival(follow=follow.job, run="r", index="cities-1", confirmed=True, waited_seconds=1)
    found = with_given_up(here, follow, said, END)
    assert (found.confirmed, found.given_up) == (False, 1)
    assert found.why == "1 record given up there, see `reindexer failures follow-cities`"
    assert with_given_up(here, follow, said, END + timedelta(minutes=2)) == said


class Fed:
    """A table at a version, and an index that is fed with its records, by somebody else's IDs where asked."""

    def __init__(self, table: Table, search: str, rows: int = 30) -> None:
        self.table, self.search, self.index = table, search, own_index()
        self.keys = table.fill(rows, reindexVersion={"N": str(VERSION)})
        mapping = {"properties": {"meta": {"properties": {"version": {"type": "long"}}}}}
        ask(search, "PUT", f"/{self.index}", {"mappings": mapping})

    def feed(self, first: int, end: int, version: int = VERSION, prefix: str = "") -> None:
        names = [prefix + id_of(key, self.table.key) for key in self.keys[first:end]]
        bulk(self.search, [index_action(self.index, n, version, {"meta": {"version": version}}) for n in names])
        ask(self.search, "POST", f"/{self.index}/_refresh")

    def confirm(self, *options: str) -> int:
        where = ("--search", self.search, "--index", self.index, "--field", "meta.version")
        return starter.run(["confirm", "reindex-cities", "--run", "a1b2c3", *where, *options])

    @property
    def client(self) -> SearchClient:
        return SearchClient(ReadIndex(search=self.search, index=self.index, field="meta.version"))


@pytest.fixture
def fed(make_table: Make, search: str) -> Fed:
    return Fed(make_table(hash_type="N", range_type="B"), search)


def test_documents_are_counted_and_what_lacks_the_version_is_named(
    here: Ledger, fed: Fed, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally(scanned=30, updated=28, current=2)
    report = a_report(version=VERSION, table=fed.table.name, table_arn=fed.table.arn, tally=tally)
    here.reports.put(report)
    fed.feed(0, 27)
    fed.feed(27, 29, version=VERSION - 1)
    assert fed.confirm("--timeout", "0", "--json") == 1
    found = json.loads(capsys.readouterr().out)["index"]
    assert (found["documents"], found["expected"], found["confirmed"]) == (27, 30, False)
    lacking = {key_text(to_json_key(key)) for key in fed.keys[27:]}
    assert {key_text(key) for key in found["missing"]["keys"]} == lacking
    assert (found["missing"]["whole"], found["missing"]["scanned"]) == (True, 30)
    assert fed.confirm("--timeout", "0") == 1
    assert "27 of 30 documents with meta.version at the version" in " ".join(capsys.readouterr().out.split())
    fed.feed(27, 30)
    assert fed.confirm("--timeout", "0") == 0
    assert "30 of 30 documents" in " ".join(capsys.readouterr().out.split())


def test_an_index_that_is_not_there_is_bad_input_and_a_cluster_that_is_not_there_no_answer(
    here: Ledger, fed: Fed, capsys: pytest.CaptureFixture[str]
) -> None:
    here.reports.put(a_report(version=VERSION, table=fed.table.name, table_arn=fed.table.arn))
    ask(fed.search, "DELETE", f"/{fed.index}")
    assert fed.confirm("--timeout", "0") == 2
    assert "no such index" in capsys.readouterr().err
    fed.search = "http://127.0.0.1:9"  # the discard port
    assert fed.confirm("--timeout", "0") == 3
    assert "does not answer" in capsys.readouterr().err


def test_ids_that_are_not_ours_are_said_to_be_unknown(fed: Fed) -> None:
    fed.feed(0, 10, prefix="theirs-")
    absent = Absent(fed.table.calls, fed.table.key, "reindexVersion", VERSION)
    found = absent.from_index(fed.client, fed.index, "meta.version", 10)
    assert (found.keys, found.scanned) == ([], 30)
    assert "10 documents at the version, none by the ID" in found.unknown


def test_no_more_keys_are_named_than_a_person_looks_up(fed: Fed) -> None:
    fed.feed(0, 5)
    assert documents_at(fed.client, fed.index, "meta.version", VERSION) == 5
    absent = Absent(fed.table.calls, fed.table.key, "reindexVersion", VERSION)
    found = absent.from_index(fed.client, fed.index, "meta.version", 5)
    assert len(found.keys) == 20
    assert found.unknown == ""


def test_a_large_table_is_read_in_part(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrived, "_PAGES", 0)
    absent = Absent(fed.table.calls, fed.table.key, "reindexVersion", VERSION)
    found = absent.from_index(fed.client, fed.index, "meta.version", 0)
    assert (found.keys, found.scanned, found.whole) == ([], 0, False)
