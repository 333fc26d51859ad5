"""The demo of a search index: whether its witnesses agree with the job, and the whole of it on real servers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands.running import confirmed_index
from reindexer.models import Indexed
from reindexer.tally import Tally
from testbed.embedded import Engine
from testbed.faults.search import DocumentTruth, SearchTruth, Write
from testbed.judge_index import Difference
from tests.cli import command
from tests.reports import a_report

INDEX = Indexed(index="cities-1", alias="cities", documents=2, expected=2, moved=True)
REPORT = a_report(tally=Tally(scanned=2, updated=2), index=INDEX)
K = Difference("different", {"id": {"S": "1"}}, "1")


def truth(*times: int, unread: int = 0) -> SearchTruth:
    """What the proxy saw: how often each document was accepted."""
    write = Write("index", 1, None, 201, (1, 0))
    documents = {f"d{number}": DocumentTruth(accepted=[write] * count) for number, count in enumerate(times)}
    injected = {"server_error": 3, "cut_applied": 2, "item_throttle": 7}
    seen: dict[str, Any] = {"unread": unread, "server_lost": 0, "pending": 0}
    return SearchTruth(injected=injected, calls={"bulk": 50}, indexes={"cities-1-write": documents}, **seen)


def shown(monkeypatch: pytest.MonkeyPatch, search: SearchTruth | None, *found: Difference) -> tuple[bool, str]:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr(confirmed_index, "differences", lambda *_: iter(found))
    good, what = confirmed_index.confirmed_index(REPORT, "http://127.0.0.1:9", None, search)
    console = Console(width=120)
    with console.capture() as captured:
        console.print(what)
    return good, captured.get()


def test_proxy_and_reader_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    good, text = shown(monkeypatch, truth(1, 1))
    assert good
    assert "5 of 50 requests failed, and 7 documents of others" in text
    assert "by the proxy's count 2 documents written, none twice" in text
    assert "each has its document, and no document is left over" in text
    assert "2 records indexed" in text


@pytest.mark.parametrize(
    ("search", "found", "said"),
    [
        (truth(1, 2), (), "2 documents written, 1 twice"),
        (truth(1), (), "1 document written, none twice"),
        (truth(1, 1, unread=1), (), "2 documents written, none twice"),
        (truth(1, 1), (K,), "by an independent reader of both: 1 different"),
        (None, (K, Difference("missing", K.key, None)), "1 different, 1 missing"),
    ],
)
def test_one_that_disagrees_is_enough(
    monkeypatch: pytest.MonkeyPatch, search: SearchTruth | None, found: tuple[Difference, ...], said: str
) -> None:
    good, text = shown(monkeypatch, search, *found)
    assert not good
    assert said in text


def test_without_what_opensearch_is_made_with_it_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    """Neither Maven nor anything got before: nothing is started."""
    environment = {"HOME": str(tmp_path), "PATH": "", "REINDEXER_CACHE": str(tmp_path)}
    code, out, err = command(environment, "demo-search")
    assert (code, out) == (2, "")
    assert err == "opensearch needs a JDK >= 17 and Maven (`mvn` on PATH).\n"


@pytest.mark.stack
@pytest.mark.nightly
def test_the_demo_of_a_search_index_answers_and_leaves_nothing(tmp_path: Path, engine: Engine) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMPORAL_ADDRESS": "127.0.0.1:9"}
    code, out, err = command(environment, "demo-search", "--records", "500", "--engine", engine.name)
    assert code == 0, out + err
    assert "complete  500 records" in out
    out = " ".join(out.split())  # whatever the width
    assert re.search(r"index \d+ of \d+ requests failed, and \d+ documents of others", out)
    assert "by the proxy's count 500 documents written, none twice" in out
    assert "each has its document, and no document is left over" in out
    assert "500 records indexed" in out
    assert "cities in a box around Lake Constance" in out
    assert list(tmp_path.iterdir()) == []
