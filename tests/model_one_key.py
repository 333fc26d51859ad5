"""Every interleaving of one key: its writer, a scan, the readers of its stream, a repair, late requests.

The rules of order are the engine's own functions. A `Rules` with one of them broken says which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from reindexer.streams.order import (
    Standing,
    applies,
    floor_of,
    order_of,
    standing,
)

EPOCH = 1_795_696_605_000  # milliseconds; any will do
FLOOR = floor_of(EPOCH)
#: The stream shard rolls after this many writes: the first shard holds their records, its child the rest.
CUT = 1
#: Changes before the opening that may be of its last minutes, and then are sent all the same: the one that left
#: what the scan finds, and the one before it.
LATEST_BEFORE = 2
WRONG = -2  # what a destination shows that no write of the table's left there
#: (sender, order, state, order that must be stored; None: below the request's own)
Request = tuple[str, int, int, int | None]
ABSENT = -1


@dataclass(frozen=True)
class Rules:
    """The design, or the design with one rule broken."""

    consistent_scan: bool = True
    positions_first: bool = True
    from_trim_horizon: bool = True  # False: LATEST
    parents_first: bool = True
    ordered: bool = True
    skips_what_lies_before: bool = True
    tombstones: str = "kept until nothing older can land"  # "dropped", "removed when the scan is done"
    repairs: str = ""  # "order first", "row first"; "": no repair, but a scan
    repairs_hold_their_reads: bool = False  # for longer than tombstones are kept


class World(NamedTuple):
    """One state of everything."""

    written: int = 0
    opened: int = -1  # writes there were when positions were taken
    begun: int = 0  # changes before it count, and are not read by these positions
    scanned: int = -1  # the state that the scan read
    row_settled: bool = False
    read: tuple[int, int] = (0, CUT)  # the last record of each shard that is settled
    crashed: bool = False
    requests: frozenset[Request] = frozenset()  # under way
    order: int = ABSENT
    shown: int = 0  # the state that the destination shows, or that its tombstone marks
    repair: tuple[str, int, int, int] = ("done", 0, 0, 0)  # (next step, order seen, state seen, tries)


class Key:
    """All worlds of one history, such as "PDP": put, delete, put."""

    def __init__(self, rules: Rules, history: str, late: int = 1) -> None:
        """`late`: requests without an answer that may be under way at once."""
        self.rules, self.history, self.late = rules, history, late

    def content(self, state: int) -> int | None:
        """What is there after that many writes: the write that left it; None: nothing."""
        return None if state == 0 or (state > 0 and self.history[state - 1] == "D") else state

    def first(self) -> World:
        if not self.rules.repairs:
            return World()
        repair = (self._first_read(), 0, 0, 0)
        return World(opened=0, row_settled=True, order=FLOOR, shown=WRONG, repair=repair)

    def _first_read(self) -> str:
        return "read order" if self.rules.repairs == "order first" else "read row"

    def violations(self, limit: int = 400_000) -> tuple[int, World | None]:
        """(worlds seen, the first that breaks the promise). Raises `MemoryError` above the limit."""
        first = self.first()
        seen, queue = {first}, deque([first])
        while queue:
            world = queue.popleft()
            if self.broken(world):
                return len(seen), world
            for following in self.steps(world):
                if following not in seen:
                    seen.add(following)
                    queue.append(following)
            if len(seen) > limit:
                raise MemoryError(f"more than {limit} worlds")
        return len(seen), None

    def broken(self, world: World) -> bool:
        """Drained, and not what the table holds; or a state from long before the opening."""
        if world.order != ABSENT and 0 < world.shown <= world.opened - LATEST_BEFORE:
            return True
        return self.drained(world) and self.visible(world) != self.content(world.written)

    def drained(self, world: World) -> bool:
        """All was written, read and sent, and nothing is under way."""
        return (
            world.written == len(self.history)
            and world.opened >= 0
            and world.row_settled
            and self.at_tip(world)
            and not world.requests
            and world.repair[0] == "done"
        )

    def visible(self, world: World) -> int | None:
        if world.order == ABSENT:
            return None
        return WRONG if world.shown == WRONG else self.content(world.shown)

    def at_tip(self, world: World) -> bool:
        return world.read[1] >= world.written and (world.read[0] == CUT or world.written < CUT)

    def steps(self, world: World) -> Iterator[World]:
        """Whatever may happen next."""
        if world.written < len(self.history):
            yield world._replace(written=world.written + 1)
        yield from self._opening(world)
        yield from self._scan(world)
        for shard in (0, 1):
            yield from self._reading(world, shard)
        yield from self._repair(world)
        yield from self._lost_answers(world)
        yield from self._crash(world)
        for request in world.requests:
            yield self._landed(world, request)
        yield from self._removal(world)

    def _opening(self, world: World) -> Iterator[World]:
        if world.opened < 0 and (self.rules.positions_first or world.scanned >= 0):
            at = world.written
            if not self.rules.skips_what_lies_before:
                yield self._opened(world, 0)
            elif not self.rules.from_trim_horizon:
                yield self._opened(world, at)
            else:
                for begun in range(max(0, at - LATEST_BEFORE), at + 1):
                    yield self._opened(world, begun)

    def _opened(self, world: World, begun: int) -> World:
        """TRIM_HORIZON of each shard that goes on; what lies before the opening is counted and skipped."""
        passed = self.passed(world.written)
        read = (CUT if passed else min(CUT, begun), max(CUT, begun))
        return world._replace(opened=world.written, begun=begun, read=read)

    def passed(self, opened: int) -> bool:
        """Whether the first shard is left to the scan: it had ended by then, and its child was listed."""
        return opened > CUT and self.rules.skips_what_lies_before

    def _scan(self, world: World) -> Iterator[World]:
        if (
            world.scanned < 0
            and not world.row_settled
            and (world.opened >= 0 or not self.rules.positions_first)
        ):
            oldest = world.written if self.rules.consistent_scan else max(0, world.written - 1)
            for state in range(oldest, world.written + 1):
                yield world._replace(scanned=state, row_settled=self.content(state) is None)
        if world.scanned >= 0 and not world.row_settled and not self._under_way(world, "scan"):
            yield self._sent(world, ("scan", FLOOR, world.scanned, None))

    def _reading(self, world: World, shard: int) -> Iterator[World]:
        """A shard's reader sends the next record, one at a time and in order."""
        if world.opened < 0 or self._under_way(world, f"shard {shard}"):
            return
        number = world.read[shard] + 1
        if number > (min(CUT, world.written) if shard == 0 else world.written):
            return
        if shard == 1 and self.rules.parents_first and world.read[0] < CUT:
            return
        yield self._sent(world, (f"shard {shard}", self._order(world, number), number, None))

    def _order(self, world: World, number: int) -> int:
        """Its place along the lineage: a function of the record and of the positions."""
        continued = self.rules.parents_first and not self.passed(world.opened)
        base = 0 if number <= CUT or continued else CUT
        return order_of(EPOCH, number - base)

    def _repair(self, world: World) -> Iterator[World]:
        step, order, state, tries = world.repair
        first_order = self.rules.repairs == "order first"
        if step == "read order":
            yield world._replace(repair=("read row" if first_order else "send", world.order, state, tries))
        elif step == "read row":
            yield world._replace(repair=("send" if first_order else "read order", order, world.written, tries))
        elif step == "send":
            request = ("repair", FLOOR if order == ABSENT else order, state, order)
            yield self._sent(world._replace(repair=("wait", order, state, tries)), request)

    def _again(self, world: World) -> World:
        """Both reads once more, or given up as moving."""
        tries = world.repair[3] + 1
        step = self._first_read()
        return world._replace(repair=(step, 0, 0, tries) if tries < 2 else ("done", 0, 0, tries))

    def _lost_answers(self, world: World) -> Iterator[World]:
        """A request that no one waits for any more; it may land at any time, and is sent again."""
        if sum(request[0] == "late" for request in world.requests) >= self.late:
            return
        for request in world.requests:
            late = world._replace(requests=world.requests - {request} | {("late", *request[1:])})
            yield self._again(late) if request[0] == "repair" else late

    def _crash(self, world: World) -> Iterator[World]:
        """Back to any position that may have been kept; what was under way may land late."""
        if world.crashed or world.opened < 0:
            return
        under_way = [request for request in world.requests if request[0].startswith("shard")]
        rest = world.requests - set(under_way)
        late = {("late", *request[1:]) for request in under_way[:1]}
        start = (CUT if self.passed(world.opened) else min(CUT, world.begun), max(CUT, world.begun))
        for first in range(start[0], world.read[0] + 1):
            for second in range(start[1], world.read[1] + 1):
                if self.rules.parents_first and first < CUT and second > start[1]:
                    continue
                read = (first, second)
                if (
                    not self.rules.from_trim_horizon and read == start
                ):  # no number: LATEST is somewhere else now
                    read = (min(CUT, world.written), max(CUT, world.written))
                yield world._replace(read=read, crashed=True, requests=rest | late)

    def _removal(self, world: World) -> Iterator[World]:
        if world.order == ABSENT or world.shown < 0 or self.content(world.shown) is not None:
            return
        waiting = any(request[0] == "late" for request in world.requests)
        if world.repair[0] not in ("done", self._first_read()) and not self.rules.repairs_hold_their_reads:
            waiting = True  # the requests of a repair are sent within seconds of its reads
        rows_left = not world.row_settled or self._under_way(world, "repair")
        early = self.rules.tombstones == "removed when the scan is done" and world.row_settled
        # A quarter of an hour: what was sent before has landed, or never will.
        if early or not (waiting or rows_left):
            yield world._replace(order=ABSENT, shown=0)

    def _landed(self, world: World, request: Request) -> World:
        sender, order, state, seen = request
        done = world._replace(requests=world.requests - {request})
        if seen is not None:
            takes_effect = world.order == seen
        else:
            takes_effect = not self.rules.ordered or applies(
                order, None if world.order == ABSENT else world.order
            )
        if sender == "scan":
            done = done._replace(row_settled=True)
        elif sender.startswith("shard"):
            shard = int(sender[-1])
            done = done._replace(read=(state, done.read[1]) if shard == 0 else (done.read[0], state))
        elif sender == "repair":
            done = done._replace(repair=("done", 0, 0, 0)) if takes_effect else self._again(done)
        if not takes_effect:
            if seen is None and self.rules == Rules():
                newest = order_of(EPOCH, len(self.history))
                assert standing(order, world.order, newest) in (Standing.OURS, Standing.NEWER)
            return done
        if self.rules.tombstones == "dropped" and self.content(state) is None:
            return done._replace(order=ABSENT, shown=0)
        return done._replace(order=order, shown=state)

    @staticmethod
    def _sent(world: World, request: Request) -> World:
        return world._replace(requests=world.requests | {request})

    @staticmethod
    def _under_way(world: World, sender: str) -> bool:
        return any(request[0] == sender for request in world.requests)
