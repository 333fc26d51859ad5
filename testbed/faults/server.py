"""The server of the fault proxy: each call is served, or fails as the plan says."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web

from testbed.faults.answers import Answer, failed_call, without_items
from testbed.faults.batches import with_struck, without_struck
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
from testbed.faults.draws import Call, Draws
from testbed.faults.engine import Engine
from testbed.faults.lagging import Lagging
from testbed.faults.lineages.layers import LineageLayers
from testbed.faults.plan import APPLIED, DAMAGES, LATE, Fault, FaultKind, FaultPlan
from testbed.faults.truth import Tracker

_CUTS = frozenset((FaultKind.CUT, FaultKind.CUT_APPLIED, FaultKind.CUT_LATE))
_HELD = frozenset((FaultKind.TIMEOUT, FaultKind.TIMEOUT_APPLIED, FaultKind.TIMEOUT_LATE))


class FaultServer:
    """State of the proxy: the plan's draws, the truth so far, and calls that are to be applied late."""

    def __init__(self, engine: Engine, plan: FaultPlan) -> None:
        self._engine = engine
        self._draws, self._tracker = Draws(plan), Tracker()
        self._late = LateCalls()
        self._lagging = Lagging(engine)
        self._lineages = LineageLayers(engine)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request, DynamoDB's or control."""
        if request.path.startswith(CONTROL):
            return await self._control(request)
        # A reset or new plan while the call is under way does not concern it.
        draws, tracker = self._draws, self._tracker
        call = await self._engine.read(request.headers, await request.content.read(), draws)
        tracker.calls[call.operation] += 1
        fault = draws.whole(call)
        if fault is None:
            answer = await self._serve(call, draws, tracker)
        else:
            tracker.injected[fault.kind] += 1
            answer = await self._fail(fault, call, request, tracker)
            if answer is not None and fault.kind in DAMAGES:
                return _damaged(fault.kind, answer, request)
        if answer is None:
            return cut(request)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _serve(self, call: Call, draws: Draws, tracker: Tracker) -> Answer | None:
        """A call that does not fail as a whole. None: the engine gave no answer."""
        slow = draws.beside(call, FaultKind.SLOW)
        if self._lagging.behind(call) and draws.beside(call, FaultKind.LAG):
            tracker.injected[FaultKind.LAG] += 1
            call = self._lagging.redirected(call)
        struck = draws.entries(call)
        answer = await (self._serve_rest(call, struck, tracker) if struck else self._forward(call, tracker))
        if answer is None:
            return None
        answer = self._lagging.restored(call, answer)
        draws.settle(call, answer.body)
        stripped = without_items(answer) if call.writes else None
        if stripped is not None and draws.beside(call, FaultKind.STRIP_ITEM):
            tracker.injected[FaultKind.STRIP_ITEM] += 1
            answer = stripped
        if slow is not None:
            tracker.injected[FaultKind.SLOW] += 1
            await asyncio.sleep(slow.duration)
        return answer

    async def _forward(self, call: Call, tracker: Tracker) -> Answer | None:
        """To the engine and back; what it wrote is seen by lagging reads later."""
        answer = await self._lineages.answer(call) or await self._engine.forward(call, tracker)
        if call.writes:
            await self._lagging.written(call)
        return answer

    async def _serve_rest(self, call: Call, struck: dict[int, Fault], tracker: Tracker) -> Answer | None:
        """A batch some of whose entries fail. If the engine refuses the rest as a whole, that is the answer."""
        rest = without_struck(call, struck)
        answer = await self._forward(rest, tracker) if rest is not None else None
        if rest is not None and (answer is None or answer.status != 200):
            return answer
        for fault in struck.values():
            tracker.injected[fault.kind] += 1
        return with_struck(call, struck, answer)

    async def _fail(
        self, fault: Fault, call: Call, request: web.BaseRequest, tracker: Tracker
    ) -> Answer | None:
        """A call that fails as a whole: what the client is to get, None for a connection that is cut."""
        if fault.kind in APPLIED:
            answer = await self._forward(call, tracker)
            if answer is None or fault.kind in DAMAGES:
                return answer
        elif fault.kind in LATE:
            self._late.forward_later(fault.duration, lambda: self._forward(call, tracker), tracker)
        if fault.kind in _HELD:
            await hold(request, HOLD if fault.kind in LATE else fault.duration)
        if fault.kind in _HELD | _CUTS:
            return None
        return failed_call(fault, call.operation, call.writes, call.arn)

    async def _control(self, request: web.BaseRequest) -> web.Response:
        """Plan, truth, reset, recreate and lineages."""
        actions: Actions = {
            ("GET", "plan"): self._get_plan,
            ("PUT", "plan"): self._put_plan,
            ("GET", "truth"): self._get_truth,
            ("POST", "reset"): self._reset,
            ("POST", "recreate"): self._recreate,
            ("POST", "lineages"): self._lineages.control,
        }
        return await control(request, actions)

    async def _get_plan(self, _: bytes) -> bytes:
        return self._draws.plan.model_dump_json(exclude_defaults=True).encode()

    async def _put_plan(self, body: bytes) -> bytes:
        plan = FaultPlan.model_validate_json(body)
        await self._lagging.follow(plan.faults)
        self._draws = Draws(plan)
        return b"{}"

    async def _get_truth(self, _: bytes) -> bytes:
        return self._tracker.as_json()

    async def _reset(self, _: bytes) -> bytes:
        """Counts and draws begin again; late calls that were not yet forwarded never are; old copies go."""
        self._late.drop()
        self._draws, self._tracker = Draws(self._draws.plan), Tracker()
        await self._lagging.clear()
        return b"{}"

    async def _recreate(self, body: bytes) -> bytes:
        await self._engine.recreate(orjson.loads(body)["table"])
        return b"{}"


def _damaged(kind: FaultKind, answer: Answer, request: web.BaseRequest) -> web.StreamResponse:
    """The engine's answer, spoilt on its way."""
    half = answer.body[: len(answer.body) // 2]  # DynamoDB's JSON begins with a brace: half of it never parses
    if kind is FaultKind.WRONG_CRC32:
        headers = {name: text for name, text in answer.headers.items() if name.lower() != "x-amz-crc32"}
        return web.Response(status=answer.status, headers={**headers, "x-amz-crc32": "1"}, body=answer.body)
    if kind is FaultKind.BROKEN_JSON:
        return web.Response(status=answer.status, headers=answer.headers, body=half)
    if request.transport is not None:
        head = {**answer.headers, "content-length": str(len(answer.body))}
        lines = "".join(f"{name}: {text}\r\n" for name, text in head.items())
        request.transport.write(f"HTTP/1.1 {answer.status} OK\r\n{lines}\r\n".encode() + half)
        request.transport.close()
    return web.Response()  # goes nowhere, as above


async def serve(target: str, port: int, plan: FaultPlan) -> None:
    """Serve on loopback until cancelled. Raises `OSError` if the port is taken."""
    async with lean_session() as session:
        await serve_forever(FaultServer(Engine(target, session), plan).handle, port)
