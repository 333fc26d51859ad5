"""OpenSearch over TLS with an authority of one's own, and requests signed for Amazon OpenSearch Service."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reindexer.answers import Action, CallFailed
from reindexer.errors import Refused
from reindexer.models import SearchAddress
from reindexer.planning.search import cluster_of
from reindexer.search.client import SearchClient
from reindexer.settings import settings
from testbed.job import outcome
from testbed.judge_index import differences
from testbed.stack import Stack
from tests.planted import Make, content
from tests.searching import index_action, own_index
from tests.tables import made_up_key
from tests.tls_proxied import Signed, tls_proxy


@pytest.fixture
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings are read again: by this test, and by the one after it."""
    settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    settings.cache_clear()


def address(url: str, auth: str | None = None) -> SearchAddress:
    region = "eu-central-1" if auth == "aws" else None
    return SearchAddress(search=url, alias="cities", auth=auth, region=region)


def failure_of(client: SearchClient) -> tuple[str, Action, str]:
    with pytest.raises(CallFailed) as failed:
        client.call("GET", "/")
    return failed.value.failure.code, failed.value.failure.action, failed.value.failure.message


def test_a_certificate_is_checked_by_the_authority_that_is_given_and_by_no_other(
    search: str, tmp_path: Path, fresh_settings: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    with tls_proxy(search, tmp_path) as proxy, tls_proxy(search, tmp_path / "other") as other:
        code, action, message = failure_of(SearchClient(address(proxy.url)))
        assert (code, action) == ("SSLError", Action.PARK)
        assert "CERTIFICATE_VERIFY_FAILED" in message

        fresh_settings.setenv("REINDEXER_SEARCH_CA", str(proxy.authority))
        settings.cache_clear()
        assert cluster_of(SearchClient(address(proxy.url)))
        assert failure_of(SearchClient(address(other.url)))[0] == "SSLError"
    assert (proxy.plain, other.plain) == (1, 0), "what is not trusted is sent nothing"


def test_a_certificate_for_another_address_is_refused(
    search: str, tmp_path: Path, fresh_settings: pytest.MonkeyPatch
) -> None:
    with tls_proxy(search, tmp_path, host="127.0.0.2") as proxy:
        fresh_settings.setenv("REINDEXER_SEARCH_CA", str(proxy.authority))
        code, action, message = failure_of(SearchClient(address(proxy.url)))
    assert (code, action, proxy.plain) == ("SSLError", Action.PARK, 0)
    assert "doesn't match" in message or "mismatch" in message


@pytest.mark.parametrize("token", ["", "a-session"], ids=["a user's key", "a role's session"])
def test_every_kind_of_request_is_signed_for_es(
    search: str, tmp_path: Path, fresh_settings: pytest.MonkeyPatch, token: str
) -> None:
    fresh_settings.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    fresh_settings.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    if token:
        fresh_settings.setenv("AWS_SESSION_TOKEN", token)
    index = own_index()
    with tls_proxy(search, tmp_path, secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY") as proxy:
        fresh_settings.setenv("REINDEXER_SEARCH_CA", str(proxy.authority))
        client = SearchClient(address(proxy.url, "aws"))
        assert cluster_of(client)
        client.call("PUT", f"/{index}", {"aliases": {f"{index}-write": {"is_write_index": True}}})
        written = client.bulk(index_action(f"{index}-write", "Zürich|1 a/b", 7, {"name": "Zürich"}), 1)
        assert [answer["status"] for answer in written] == [201]
        [stored] = client.stored(index, ["Zürich|1 a/b"])
        assert stored is not None
        assert stored.order == 7
        client.call("GET", f"/{index}-*,{index}/_alias", ignore_unavailable="true", expand_wildcards="all")
        client.call("DELETE", f"/{index}")
    assert proxy.refused == []
    assert len(proxy.seen) == 6
    assert {(one.key, one.region, one.service) for one in proxy.seen} == {("AKIDEXAMPLE", "eu-central-1", "es")}
    signed = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
    assert all(signed <= set(one.headers) for one in proxy.seen)


def test_a_signature_of_another_secret_is_refused_and_nothing_is_tried_again(
    search: str, tmp_path: Path, fresh_settings: pytest.MonkeyPatch
) -> None:
    with tls_proxy(search, tmp_path, secret="another") as proxy:
        fresh_settings.setenv("REINDEXER_SEARCH_CA", str(proxy.authority))
        with pytest.raises(Refused, match="denies it") as refused:
            cluster_of(SearchClient(address(proxy.url, "aws")))
    assert refused.value.kind == "AccessDenied"
    assert proxy.refused == ["the signature is another one"]


async def test_a_job_indexes_over_tls_with_the_workers_own_credentials(
    quiet: Stack, make_table: Make, search: str, tmp_path: Path
) -> None:
    table, alias = make_table(), f"tls-{uuid.uuid4().hex[:8]}"
    table.put(*({**made_up_key(table.key, n), **content(n)} for n in range(60)))
    credentials = quiet.environment["AWS_ACCESS_KEY_ID"], quiet.environment["AWS_SECRET_ACCESS_KEY"]
    with tls_proxy(search, tmp_path, secret=credentials[1]) as proxy:
        beside = quiet.beside(f"tls-{uuid.uuid4().hex[:8]}", {"REINDEXER_SEARCH_CA": str(proxy.authority)})
        to = {"search": proxy.url, "alias": alias, "auth": "aws", "region": "eu-central-1"}
        job: dict[str, Any] = {
            "table": table.name,
            "total_segments": 2,
            "operation": {"kind": "index", "to": to},
        }
        with beside.workers as workers:
            workers.come_up()
            state, report = await outcome(await beside.start(job))
    assert state == "complete", report
    assert (report["tally"]["updated"], report["index"]["moved"]) == (60, True)
    assert list(differences(table.client, table.name, search, alias)) == []
    assert proxy.refused == []
    assert {Signed(one.key, one.region, one.service, ()) for one in proxy.seen} == {
        Signed(credentials[0], "eu-central-1", "es", ())
    }
