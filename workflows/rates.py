"""How fast a job goes, over a minute of its work."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from workflows.slot import Shard

_WINDOW = 60.0  # seconds over which rates are taken: two rounds
_MOST_SPANS = 4096  # all reports of a job (see `shards.py`); a bound for memory, not for accuracy


class _Account(NamedTuple):
    """What a shard has come to. Also a difference of two."""

    records: float = 0
    read_units: float = 0.0
    write_units: float = 0.0

    @classmethod
    def of(cls, shard: Shard) -> _Account:
        state = shard.state
        return cls(state.tally.settled, state.read_units, state.write_units)


class _Span(NamedTuple):
    """What a shard did between two of its accounts, which come half a minute apart: taken as done evenly."""

    begin: float
    end: float
    done: _Account


class Rates:
    """Times are seconds in which the job has worked, neither paused nor parked, by the workflow's own clock.

    The last minute of which everything is known counts: up to the oldest account among the shards at work. One
    that has told nothing for a minute is not waited for.
    """

    def __init__(self) -> None:
        self._worked = self._looked = 0.0
        self._known: dict[int, tuple[float, _Account]] = {}  # when each shard last told something, and what
        self._whole_until = 0.0  # when everything was known last
        self._spans: deque[_Span] = deque(maxlen=_MOST_SPANS)

    def look(self, now: float, shards: Iterable[Shard], *, working: bool) -> None:
        """Take what shards have told since the last look. `working`: whether the job has worked since then."""
        before = self._worked
        if self._looked and working:
            self._worked += now - self._looked
        self._looked = now
        at_work = []  # since when each shard at work has told nothing
        for shard in shards:
            if not shard.starts:
                continue
            begun = max(before, self._worked - (now - shard.began_at))
            since, known = self._known.setdefault(shard.index, (begun, _Account()))
            account = _Account.of(shard)
            if account != known:
                done = _Account(*(new - old for new, old in zip(account, known, strict=True)))
                self._spans.append(_Span(since, self._worked, done))
                since = self._worked
                self._known[shard.index] = since, account
            if shard.active:
                at_work.append(since)
        if at_work:
            self._whole_until = max(min(at_work), self._worked - _WINDOW)
        elif self._spans:
            self._whole_until = self._spans[-1].end
        while self._spans and self._spans[0].end < self._spans[-1].end - 2 * _WINDOW:  # one is waited for
            self._spans.popleft()

    def now(self) -> dict[str, float]:
        """`records`, `read_units` and `write_units` a second; 0.0 where nothing can be said yet."""
        end = self._whole_until
        begin = max(0.0, end - _WINDOW)
        totals = [0.0, 0.0, 0.0]
        for span in self._spans:
            inside = min(end, span.end) - max(begin, span.begin)
            share = inside / (span.end - span.begin) if span.end > span.begin else float(inside >= 0)
            if share > 0:
                totals = [total + part * share for total, part in zip(totals, span.done, strict=True)]
        seconds = end - begin
        rates = [round(total / seconds, 1) if seconds > 0 else 0.0 for total in totals]
        return dict(zip(_Account._fields, rates, strict=True))
