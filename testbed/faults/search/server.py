"""The server of the search fault proxy: each request is served, or fails as the plan says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from testbed.faults.connections import (
    CONTROL,
    HOLD,
    Actions,
    LateCalls,
    control,
    cut,
    hold,
    lean_session,
    serve_forever,
)
from testbed.faults.search.answers import Answer, failed_item, failed_request, json_answer
from testbed.faults.search.draws import SearchDraws
from testbed.faults.search.plan import (
    APPLIED,
    CUTS,
    HELD,
    LATE,
    SearchFault,
    SearchFaultKind,
    SearchFaultPlan,
)
from testbed.faults.search.requests import Request
from testbed.faults.search.truth import SearchTracker, results

#: Said of one connection or of a body's form on the wire: each side has its own. Answers come unpacked.
_NOT_PASSED = frozenset(
    ("host", "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding")
) | {"accept-encoding", "expect"}

_WITH_PLACES = "filter_path=items.*._seq_no,items.*._primary_term,"


class SearchFaultServer:
    """State of the proxy: the plan's draws, the truth so far, and requests that are to be forwarded late."""

    def __init__(self, target: str, session: aiohttp.ClientSession, plan: SearchFaultPlan) -> None:
        self._target, self._session = target.rstrip("/"), session
        self._draws, self._tracker = SearchDraws(plan), SearchTracker()
        self._late = LateCalls()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request, OpenSearch's or control."""
        if request.path.startswith(CONTROL):
            return await self._control(request)
        # A reset or new plan while the request is under way does not concern it.
        draws, tracker = self._draws, self._tracker
        asked = Request(
            request.method, request.raw_path, _passed(request.headers), await request.content.read()
        )
        tracker.calls[asked.operation] += 1
        fault = draws.whole(asked)
        if fault is None:
            answer = await self._serve(asked, draws, tracker)
        else:
            tracker.injected[fault.kind] += 1
            answer = await self._fail(fault, asked, request, tracker)
        if answer is None:
            return cut(request)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _serve(self, asked: Request, draws: SearchDraws, tracker: SearchTracker) -> Answer | None:
        """A request that does not fail as a whole. None: OpenSearch gave no answer."""
        slow, struck = draws.slow(asked), draws.items(asked)
        answer = await (self._serve_rest(asked, struck, tracker) if struck else self._forward(asked, tracker))
        if slow is not None:
            tracker.injected[SearchFaultKind.SLOW] += 1
            await asyncio.sleep(slow.duration)
        return answer

    async def _serve_rest(
        self, asked: Request, struck: Mapping[int, SearchFault], tracker: SearchTracker
    ) -> Answer | None:
        """A bulk some of whose items fail. If OpenSearch refuses the rest as a whole, that is the answer."""
        applied = SearchFaultKind.ITEM_UNAVAILABLE_APPLIED
        kept = [
            action
            for action in asked.actions
            if action.entry not in struck or struck[action.entry].kind is applied
        ]
        done: dict[str, Any] = {"took": 0, "items": []}
        if kept:
            rest = replace(asked, body=b"".join(action.raw for action in kept))
            answer = await self._forward(rest, tracker)
            if answer is None or answer.status != 200:
                return answer
            done = orjson.loads(answer.body)
        items = dict(zip((action.entry for action in kept), done["items"], strict=True))
        for entry, fault in struck.items():
            tracker.injected[fault.kind] += 1
            items[entry] = failed_item(fault, asked.actions[entry])
        return json_answer(200, {**done, "errors": True, "items": [items[at] for at in sorted(items)]})

    async def _fail(
        self, fault: SearchFault, asked: Request, request: web.BaseRequest, tracker: SearchTracker
    ) -> Answer | None:
        """A request that fails as a whole: what the client is to get, None for a connection that is cut."""
        if fault.kind in APPLIED:
            if await self._forward(asked, tracker) is None:
                return None
        elif fault.kind in LATE:
            self._late.forward_later(fault.duration, lambda: self._forward(asked, tracker), tracker)
        if fault.kind in HELD:
            await hold(request, HOLD if fault.kind in LATE else fault.duration)
        return None if fault.kind in HELD | CUTS else failed_request(fault)

    async def _forward(self, asked: Request, tracker: SearchTracker) -> Answer | None:
        """Send it to OpenSearch, write down what that did, return its answer; None if there was none."""
        # Of an answer that the client has shortened, too, it is to be known in which order writes took effect.
        url = URL(self._target + asked.path.replace("filter_path=", _WITH_PLACES, 1), encoded=True)
        tracker.pending += 1
        try:
            async with self._session.request(
                asked.method, url, data=asked.body or None, headers=asked.headers
            ) as response:
                answer = Answer(response.status, _passed(response.headers), await response.read())
        except aiohttp.ClientConnectorError:  # never got there, so nothing was forwarded
            tracker.server_lost += 1
            return None
        except (aiohttp.ClientError, OSError):
            tracker.server_lost += 1
            tracker.record(asked.actions, [None] * len(asked.actions))
            return None
        finally:
            tracker.pending -= 1
        _write_down(asked, answer, tracker)
        return answer

    async def _control(self, request: web.BaseRequest) -> web.Response:
        """Plan, truth and reset."""
        actions: Actions = {
            ("PUT", "plan"): self._put_plan,
            ("GET", "truth"): self._get_truth,
            ("POST", "reset"): self._reset,
        }
        return await control(request, actions)

    async def _put_plan(self, body: bytes) -> bytes:
        self._draws = SearchDraws(SearchFaultPlan.model_validate_json(body))
        return b"{}"

    async def _get_truth(self, _: bytes) -> bytes:
        return self._tracker.as_json()

    async def _reset(self, _: bytes) -> bytes:
        """Truth and draws begin again; late requests that were not yet forwarded never are."""
        self._late.drop()
        self._draws, self._tracker = SearchDraws(self._draws.plan), SearchTracker()
        return b"{}"


def _write_down(asked: Request, answer: Answer, tracker: SearchTracker) -> None:
    if asked.operation == "delete_index" and answer.status == 200:
        tracker.forget(asked.index)
    if asked.unreadable:
        tracker.unread += answer.status < 400  # what was refused as a whole changed nothing
    if not asked.actions:
        return
    try:
        said = results(asked.actions, answer.status, answer.body)
        tracker.record(asked.actions, said)
    except (ValueError, LookupError, TypeError, AttributeError):  # an answer that makes no sense
        tracker.record(asked.actions, [None] * len(asked.actions))


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.lower() not in _NOT_PASSED}


async def serve(target: str, port: int, plan: SearchFaultPlan) -> None:
    """Serve on loopback until cancelled. Raises `OSError` if the port is taken."""
    async with lean_session() as session:
        await serve_forever(SearchFaultServer(target, session, plan).handle, port)
