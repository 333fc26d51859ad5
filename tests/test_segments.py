"""A service that does not divide a parallel scan: refused by the plan, or named by the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest

from reindexer.errors import Refused
from reindexer.ledger import Ledger
from testbed.job import outcome
from testbed.stack import Stack
from tests.tables import Table
from tests.test_planning import plan

MakeTable = Callable[..., Table]
Scan = dict[str, Any]


def ignored(scan: Scan) -> Scan:
    return {name: value for name, value in scan.items() if name not in ("Segment", "TotalSegments")}


def first_only(scan: Scan) -> Scan:
    return {**scan, "Segment": 0} if "Segment" in scan else scan


def of_two(scan: Scan) -> Scan:
    """Segments 2 and 3 of 4 are 0 and 1 once more."""
    return {**scan, "Segment": scan["Segment"] % 2, "TotalSegments": 2} if "Segment" in scan else scan


def more_than_there_are(scan: Scan) -> Scan:
    """Half of the segments are never asked for."""
    return {**scan, "TotalSegments": 2 * scan["TotalSegments"]} if "Segment" in scan else scan


class Altered:
    """A client whose scans are other ones, and whose table is said to have this many bytes."""

    def __init__(self, client: Any, alter: Callable[[Scan], Scan], size: int | None = None) -> None:
        self._client, self._alter, self._size = client, alter, size
        self.scans: list[Scan] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def scan(self, **how: Any) -> Any:
        self.scans.append(how)
        return self._client.scan(**self._alter(how))

    def describe_table(self, **how: Any) -> Any:
        answer = self._client.describe_table(**how)
        return answer if self._size is None else {"Table": {**answer["Table"], "TableSizeBytes": self._size}}


@pytest.mark.parametrize(
    ("alter", "says"),
    [
        (ignored, "hand out the same records"),
        (first_only, "hand out the same records"),
        (of_two, "hand out the same records"),
        (more_than_there_are, r"leave out \d+ of its 200 records"),
    ],
)
@pytest.mark.parametrize("operation", [{"kind": "touch"}, {"kind": "verify", "version": 5}])
def test_a_scan_that_is_not_divided_is_refused(
    make_table: MakeTable, ledger: Ledger, alter: Callable[[Scan], Scan], says: str, operation: dict[str, Any]
) -> None:
    table = make_table(rows=200)
    with pytest.raises(Refused, match=says) as refused:
        plan(table, ledger, Altered(table.client, alter), operation=operation)
    assert refused.value.kind == "NoParallelScan"
    assert "total_segments 1" in str(refused.value)
    undivided: list[dict[str, Any]] = [{"total_segments": 1}, {"scope": {"kind": "sample"}}]
    for job in undivided:
        plan(table, ledger, Altered(table.client, alter), operation=operation, **job)


def test_of_a_large_table_first_pages_are_compared(make_table: MakeTable, ledger: Ledger) -> None:
    table = make_table(rows=300)
    large = Altered(table.client, dict, size=10**9)
    plan(table, ledger, large, total_segments=40)
    assert len([scan for scan in large.scans if scan.get("TotalSegments") == 40]) == 2
    assert all("Limit" in scan for scan in large.scans)
    for alter in (ignored, first_only):
        with pytest.raises(Refused, match="hand out the same records"):
            plan(table, ledger, Altered(table.client, alter, size=10**9), total_segments=40)


@pytest.mark.parametrize("rows", [0, 1, 30])
@pytest.mark.parametrize("hash_type", ["S", "N", "B"])
def test_a_table_that_is_divided_passes(
    make_table: MakeTable, each_dynamodb: Any, each_engine: Any, rows: int, hash_type: str
) -> None:
    ledger = Ledger("reindexer-ledger")
    ledger.store.create()
    table = make_table(rows=rows, hash_type=hash_type)
    assert len(plan(table, ledger, total_segments=7).sources) == 7


def test_records_written_meanwhile_are_not_missed(make_table: MakeTable, ledger: Ledger) -> None:
    table = make_table(rows=20)
    new = iter(range(1000))

    def beside(scan: Scan) -> Scan:
        table.put({"id": {"S": f"new-{next(new)}"}})
        table.client.delete_item(TableName=table.name, Key={"id": {"S": f"row-{next(new) % 20:06}"}})
        return scan

    plan(table, ledger, Altered(table.client, beside))


@contextmanager
def proxy(endpoint: str, alter: Callable[[Scan], Scan]) -> Iterator[str]:
    """Before the engine: scans pass as `alter` makes them, everything else as it is."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["X-Amz-Target"].endswith(".Scan"):
                body = json.dumps(alter(json.loads(body))).encode()
            passed = ("Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization")
            headers: Mapping[str, str] = {name: self.headers[name] for name in passed if self.headers[name]}
            with urlopen(Request(endpoint, body, headers)) as answer:
                content = answer.read()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def but_consistent(scan: Scan) -> Scan:
    """Segments are honoured where the plan tries them, and not where the job reads."""
    return scan if scan.get("ConsistentRead") else ignored(scan)


@pytest.mark.parametrize("alter", [pytest.param(ignored, marks=pytest.mark.nightly), but_consistent])
async def test_records_are_not_counted_four_times_unnoticed(
    quiet: Stack, make_table: MakeTable, tmp_path: Path, alter: Callable[[Scan], Scan]
) -> None:
    table = make_table(rows=1000)
    queue = f"segments-{tmp_path.name}"
    with proxy(quiet.engine.endpoint_url, alter) as endpoint:
        stack = quiet.beside(queue, {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "REINDEXER_PROCESSES": "1"})
        with stack.workers:
            kind, report = await outcome(await stack.start({"table": table.name, "total_segments": 4}))
    if alter is ignored:
        assert (kind, "does not divide" in report["message"]) == ("NoParallelScan", True)
        assert not any("reindexVersion" in item for item in table.items())
    else:
        assert (kind, report["tally"]["scanned"], report["verification"]["scanned"]) == ("complete", 4000, 1000)
        [warning] = [w for w in report["warnings"] if w.startswith("the job scanned")]
        assert warning.startswith("the job scanned 4,000 records, the verification afterwards 1,000: ")
