"""Who else reads a stream, by what Lambda's own service says of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reindexer.planning.facts import Described
from reindexer.planning.readers import readers_advice

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/cities/stream/2026-11-27T00:00:00.000"


class Lambda:
    """Answers ListEventSourceMappings, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status, self.answer = 200, dict[str, Any]()

    def has(self, *functions: str, state: str = "Enabled") -> None:
        mappings = [
            {"FunctionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}", "State": state}
            for name in functions
        ]
        self.answer = {"EventSourceMappings": [*self.answer.get("EventSourceMappings", []), *mappings]}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    made = Lambda()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's own name
            made.asked.append(self.path)
            body = json.dumps(made.answer).encode()
            self.send_response(made.status)
            if made.status != 200:
                self.send_header("x-amzn-ErrorType", "AccessDeniedException")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def described(**more: Any) -> Described:
    return cast(Described, SimpleNamespace(description={"LatestStreamArn": ARN, **more}))


def test_one_reader_beside_us_is_served(service: Lambda) -> None:
    service.has("mailer")
    service.has("old", "older", state="Disabled")
    assert readers_advice(described(), "us-east-1") == []
    [asked] = service.asked
    assert asked.startswith("/2015-03-31/event-source-mappings")
    assert "EventSourceArn=arn%3Aaws%3Adynamodb" in asked


@pytest.mark.parametrize(
    ("add", "more", "named"),
    [
        (lambda service: service.has("mailer", "audit"), {}, "Lambda function mailer, Lambda function audit"),
        (
            lambda service: service.has("mailer"),
            {"Replicas": [{"RegionName": "eu-west-1"}]},
            "the replication of the global table, Lambda function mailer",
        ),
    ],
    ids=["two functions", "a function and a global table"],
)
def test_where_two_read_already_the_plan_names_them(
    service: Lambda, add: Callable[[Lambda], None], more: dict[str, Any], named: str
) -> None:
    add(service)
    [warning] = readers_advice(described(**more), "us-east-1")
    assert f"the stream has 2 readers already ({named})" in warning


def test_without_the_permission_the_plan_says_that_it_does_not_know(service: Lambda) -> None:
    service.status, service.answer = 403, {"Message": "not authorized"}
    [warning] = readers_advice(described(), "us-east-1")
    assert "cannot be listed (AccessDeniedException; lambda:ListEventSourceMappings)" in warning


def test_of_a_local_engine_no_one_is_asked(service: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_LAMBDA")
    assert readers_advice(described(), "us-east-1") == []
    assert service.asked == []
