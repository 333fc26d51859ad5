"""Requests to OpenSearch that may be repeated, with errors that a person can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import stamina

from reindexer.answers import Action, CallFailed
from reindexer.errors import EnvironmentFault, Refused, Unavailable
from reindexer.search.client import SearchClient

T = TypeVar("T")

_TRIES = 6  # of a request that meets only 429 and 5xx: some seconds


@contextmanager
def answering(client: SearchClient) -> Iterator[None]:
    """A request that fails within is what it means for the job: raises `Refused` or `EnvironmentFault`."""
    try:
        yield
    except CallFailed as failed:
        raise verdict(failed, client.url) from failed


def asked(client: SearchClient, method: str, path: str, body: Any = None, **parameters: Any) -> dict[str, Any]:
    """One answer of a request that may be repeated. Raises `Refused` or `EnvironmentFault`."""
    return repeated(client, lambda: client.call(method, path, body, **parameters))


def repeated(client: SearchClient, call: Callable[[], T]) -> T:
    """The result of requests that may be repeated, all of them. Raises `Refused` or `EnvironmentFault`."""
    with answering(client):
        for attempt in stamina.retry_context(on=_passes, attempts=_TRIES, wait_max=2.0):
            with attempt:
                return call()
    raise AssertionError("unreachable: the last attempt returns or raises")


def _passes(error: Exception) -> bool:
    return isinstance(error, CallFailed) and error.failure.action in (Action.WAIT, Action.RETRY)


def verdict(failed: CallFailed, url: str) -> Refused | EnvironmentFault:
    """What a failed request means for the job."""
    failure = failed.failure
    if failure.denied:
        return Refused(f"{url} denies it: {failure.code}: {failure.message}", "AccessDenied")
    if failure.action in (Action.WAIT, Action.RETRY):
        return Unavailable(failure.code, f"{url} does not answer: {failure.message}")
    return EnvironmentFault(failure.code, f"{url}: {failure.message}")
