"""What fault proxies do to a client's connection, their control, and their life as a server on loopback."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import aiohttp
from aiohttp import web

CONTROL = "/_faults/"  # paths that neither DynamoDB nor OpenSearch has
HOLD = 120.0  # seconds a late call's client is kept waiting at most; longer than any client waits
_LOOK = 0.05  # seconds between looks whether a client has given up
_IDLE = 3600.0  # seconds a client's idle connection is kept: closing it first would look like a fault
_KEEPALIVE = 4.0  # seconds; Python servers close idle connections after 5, and a race would look like a fault

#: By method and name, what the process that started the proxy may ask of it.
Actions = Mapping[tuple[str, str], Callable[[bytes], Awaitable[bytes]]]


def cut(request: web.BaseRequest) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere: the server wants one and finds the connection closed


async def hold(request: web.BaseRequest, seconds: float) -> None:
    """Wait until the client gives up, at most so long."""
    for _ in range(int(seconds / _LOOK)):
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(_LOOK)


async def control(request: web.BaseRequest, actions: Actions) -> web.Response:
    """Answer a request of the process that started the proxy; errors are plain text under 400."""
    action = actions.get((request.method, request.path.removeprefix(CONTROL)))
    if action is None:
        return web.Response(status=404, text=f"known: {sorted(actions)}")
    try:
        body = await action(await request.content.read())
    # Pydantic's errors are `ValueError`s, and so is the engine's own.
    except (ValueError, KeyError, aiohttp.ClientError, OSError) as error:
        return web.Response(status=400, text=str(error) or type(error).__name__)
    return web.Response(body=body, content_type="application/json")


def lean_session() -> aiohttp.ClientSession:
    """A client session as lean as aiohttp makes them: no cookies, no limits, no decompression."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        auto_decompress=False,
    )


async def serve_forever(handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], port: int) -> None:
    """Serve on loopback until cancelled. Raises `OSError` if the port is taken."""
    gc.set_threshold(50_000)  # objects; the truth only grows, and looking through it for garbage finds none
    server = web.Server(handle, access_log=None, keepalive_timeout=_IDLE)
    runner = web.ServerRunner(server, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await asyncio.Event().wait()  # no one sets it: only a signal ends it
    finally:
        await runner.cleanup()


class Pending(Protocol):
    """What counts requests that are still to be forwarded or answered."""

    pending: int


class LateCalls:
    """Calls that are forwarded after their failure was reported."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[None]] = set()

    def forward_later(self, seconds: float, forward: Callable[[], Awaitable[object]], tracker: Pending) -> None:
        """Forward a call after a number of seconds, unless `drop` comes first; it is pending meanwhile."""
        tracker.pending += 1  # before the task begins: who asks at once sees it
        self._waiting.add(asyncio.create_task(self._forward(seconds, forward, tracker)))

    def drop(self) -> None:
        """Forget those that were not yet forwarded."""
        for task in self._waiting:
            task.cancel()
        self._waiting.clear()

    async def _forward(
        self, seconds: float, forward: Callable[[], Awaitable[object]], tracker: Pending
    ) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            tracker.pending -= 1
            task = asyncio.current_task()
            assert task is not None
            self._waiting.discard(task)  # from here on `drop` does not call it back
        await forward()
