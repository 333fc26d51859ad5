"""Deciding which faults strike a request to OpenSearch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from testbed.faults.lots import Lots
from testbed.faults.search.plan import ITEMS, WHOLE, SearchFault, SearchFaultKind, SearchFaultPlan
from testbed.faults.search.requests import Action, Request


class _Rule:
    """One fault of the plan with its counters."""

    def __init__(self, plan: SearchFaultPlan, place: int) -> None:
        self.fault = fault = plan.faults[place]
        self._lots = Lots(f"{plan.seed} {place} {fault.kind}", fault.probability, fault.after, fault.limit)

    def covers(self, request: Request) -> bool:
        """Whether the request as a whole is in scope."""
        fault = self.fault
        if not fault.covers(request.operation):
            return False
        if fault.max_bytes is not None and len(request.body) <= fault.max_bytes:
            return False
        if fault.indexes is not None and fault.indexes.isdisjoint(request.indexes):
            return False
        return fault.ids is None or any(self.covers_item(action) for action in request.actions)

    def covers_item(self, action: Action) -> bool:
        """Whether one document is in scope."""
        indexes, ids = self.fault.indexes, self.fault.ids
        return (indexes is None or action.index in indexes) and (ids is None or action.id in ids)

    def strikes(self, identity: bytes, number: int) -> bool:
        """Decide once. `number`: how often this identity came before."""
        if not self._lots.drawn(identity, number):
            return False
        self._lots.strike()
        return True


class SearchDraws:
    """The decisions of one plan. Its counters begin at zero: the same plan set again decides the same again."""

    def __init__(self, plan: SearchFaultPlan) -> None:
        self.plan = plan
        rules = [_Rule(plan, place) for place in range(len(plan.faults))]
        self._whole = [rule for rule in rules if rule.fault.kind in WHOLE]
        self._items = [rule for rule in rules if rule.fault.kind in ITEMS]
        self._slow = [rule for rule in rules if rule.fault.kind is SearchFaultKind.SLOW]
        self._numbers: Counter[bytes] = Counter()

    def whole(self, request: Request) -> SearchFault | None:
        """The fault that fails the request, if one does. Call it exactly once for each request."""
        if self._whole or self._slow:
            self._numbers[request.identity] += 1
            request.number = self._numbers[request.identity]
        return self._first(self._whole, request)

    def slow(self, request: Request) -> SearchFault | None:
        """The fault that delays the answer, if one does."""
        return self._first(self._slow, request)

    def items(self, request: Request) -> dict[int, SearchFault]:
        """The items of a bulk that are struck, and by what; each by the first that strikes."""
        rules = [rule for rule in self._items if rule.covers(request)] if request.operation == "bulk" else []
        struck: dict[int, SearchFault] = {}
        for action in request.actions if rules else ():
            identity = f"{action.index} {action.id}".encode()
            number = self._numbers[identity]
            self._numbers[identity] += 1
            for rule in rules:
                if rule.covers_item(action) and rule.strikes(identity, number):
                    struck[action.entry] = rule.fault
                    break
        return struck

    def _first(self, rules: Iterable[_Rule], request: Request) -> SearchFault | None:
        for rule in rules:
            if rule.covers(request) and rule.strikes(request.identity, request.number):
                return rule.fault
        return None
