"""From an item to a write: the query, the function, what changed, and what the write is guarded by.

Pure: the same item gives the same answer. No thread, no table, no clock.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from reindexer.dynamo.index_keys import INDEX_KEY, IndexKeys
from reindexer.dynamo.wire import longest_statement
from reindexer.errors import RecordFailed, one_line
from reindexer.items import EXPIRED, RESERVED, Skip, WireItem, WireValue, Write
from reindexer.jobs.changes import Delete, Update
from reindexer.jobs.conditions import BadQuery, Test, built, compiled, named
from reindexer.jobs.expiry import expired
from reindexer.jobs.job import Job, Params
from reindexer.jobs.row import Row
from reindexer.models import Expiry, IndexKey
from reindexer.values import (
    MAX_ITEM_BYTES,
    InvalidValue,
    item_size,
    same,
    size_of,
    text_of,
    upper_bound,
    wire,
)

_MAX_GUARDS = 140  # with version, stamp and key half of the 300 operators DynamoDB takes in one condition
_MAX_STATEMENT = 8192  # characters of one PartiQL statement (DynamoDB's limit)
_MAX_EXPRESSION = 4096  # characters of one of UpdateItem's expressions (DynamoDB's limit)
_MAX_SHAPES = 1000  # statements whose length is remembered; a job's records have a handful of shapes
_STAMP_BYTES = 100  # version and run stamp with their names, generously

#: Left alone because the query does not hold, or because the function's result is what is there already.
OUTSIDE = Skip("outside the query")
UNCHANGED = Skip("nothing changes")


def failure_of(error: BaseException, file: str) -> RecordFailed:
    """An exception of the job's code, with the innermost line of the job file in its message."""
    if isinstance(error, RecordFailed):
        return error
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" ({own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno})" if own else ""
    return RecordFailed(type(error).__name__, one_line(error, 250) + where)  # 250: with the place below 300


class Decider:
    """Called with an item on the wire. Raises `RecordFailed`, or whatever the job's code raises.

    `key_types`: the attributes that are keys of the table or of an index, with their types; the first
    `keys` of them, the table's own, cannot be changed.
    """

    def __init__(
        self,
        job: Job,
        params: Params,
        *,
        keys: Iterable[str] = (),
        hidden: Iterable[str] = (),
        index_keys: Mapping[str, str] | None = None,
        indexes: Iterable[IndexKey] = (),
        table: str = "",
        single: bool = False,
        expiry: Expiry | None = None,
    ) -> None:
        self._job, self.params = job, params
        self._keys, self._hidden = frozenset(keys), frozenset(hidden)
        self._index_keys = IndexKeys(index_keys or {}, indexes)
        self._table, self._single, self._expiry = table, single, expiry
        condition = job.condition(params)
        self.condition = condition
        self._test: Test | None = None
        self._asked: frozenset[str] = frozenset()
        if condition is not None:
            built(condition)  # refuses what is no condition
            self._test, self._asked = compiled(condition), named(condition) - self._keys
            own = self._asked & self._hidden
            if own:  # each write changes them, so that the answer would
                raise BadQuery(f"the query names {min(own)}, which the run itself writes")
        self._fits: dict[object, bool] = {}

    def matches(self, item: WireItem) -> bool:
        """Whether the query holds."""
        return self._test is None or self._test(item)

    def asks(self, item: WireItem) -> bool:
        """Whether the function is asked about it: the query holds, and it is not left alone as expired."""
        return self.matches(item) and not expired(self._expiry, item)

    def row(self, item: WireItem) -> Row:
        """The item as the job's function sees it."""
        return Row(item, self._hidden)

    def __call__(self, item: WireItem) -> Write | Skip:
        if not self.matches(item):
            return OUTSIDE
        if expired(self._expiry, item):
            return EXPIRED
        row = self.row(item)
        if self._job.process is not None:
            self._job.process(row, self.params)
            return Write()  # the stamp alone: it says that this record's work was done
        assert self._job.transform is not None
        change: Any = self._job.transform(row, self.params)
        if isinstance(change, Update):
            return self._update(item, row, change)
        if isinstance(change, Skip):
            return change
        if isinstance(change, Delete):
            self._may_take_away("returned Delete()")
            return self._guarded(item, row, {}, (), mark=True)
        raise RecordFailed(
            "InvalidResult",
            f"transform returned {type(change).__name__}; return Update(…), Delete() or Skip(reason)",
        )

    def _update(self, item: WireItem, row: Row, change: Update) -> Write | Skip:
        """Only what differs from the item is written."""
        sets: dict[str, WireValue] = {}
        given = {_plainly(name): value for name, value in change.set.items()}
        for name, value in given.items():
            try:
                new = wire(value, name)
            except InvalidValue as error:
                raise RecordFailed("InvalidResult", str(error)) from error
            old = item.get(name)
            self._check_name(name, old is not None and same(old, new))
            if old is None or not same(old, new):
                if why := self._index_keys.why_not(name, new):  # DynamoDB would refuse it
                    raise RecordFailed(INDEX_KEY, why)
                sets[name] = new
        removes = self._removes(item, change)
        if not sets and not removes:
            return UNCHANGED
        self._check_size(item, sets, removes)
        return self._guarded(item, row, sets, removes, mark=False)

    def _removes(self, item: WireItem, change: Update) -> tuple[str, ...]:
        if isinstance(change.remove, str):
            raise RecordFailed(
                "InvalidResult", f"remove={change.remove!r} is a string; write remove=[{change.remove!r}]"
            )
        names = tuple(dict.fromkeys(map(_plainly, change.remove)))
        for name in names:
            self._check_name(name, False)
        if names:
            self._may_take_away("removed attributes")
        if both := set(map(_plainly, change.set)) & set(names):
            raise RecordFailed("InvalidResult", f"{min(both)}: set and removed at the same time")
        return tuple(name for name in names if name in item)

    def _may_take_away(self, what: str) -> None:
        if not self._job.destructive:
            raise RecordFailed(
                "Undeclared",
                f"the function {what}, which its file does not show; say `destructive = True` in it",
            )

    def _check_name(self, name: Any, unchanged: bool) -> None:
        if not isinstance(name, str) or not name:
            raise RecordFailed("InvalidResult", f"{name!r} is not an attribute's name")
        if name in self._keys and not unchanged:
            raise RecordFailed("InvalidResult", f"{name}: a key attribute cannot be changed or removed")
        if name.startswith(RESERVED) and not unchanged:
            raise RecordFailed("ReservedName", f"{name}: AWS's own attribute, which no job may write or remove")
        if name in self._hidden:
            raise RecordFailed("InvalidResult", f"{name}: the run's own attribute, which no job may write")
        if name == self._job.lock:
            raise RecordFailed("InvalidResult", f"{name}: the lock attribute is counted up by the run itself")

    def _check_size(self, item: WireItem, sets: Mapping[str, WireValue], removes: tuple[str, ...]) -> None:
        grown = sum(size_of(new) - (size_of(item[name]) if name in item else 0) for name, new in sets.items())
        if grown <= 0 or upper_bound(item) + grown + _STAMP_BYTES <= MAX_ITEM_BYTES:
            return
        size = item_size({**{n: v for n, v in item.items() if n not in removes}, **sets}) + _STAMP_BYTES
        if size > MAX_ITEM_BYTES:
            raise RecordFailed(
                "InvalidResult", f"the item would have {size:,} bytes, above {MAX_ITEM_BYTES:,} (400 KB)"
            )

    def _guarded(
        self, item: WireItem, row: Row, sets: dict[str, WireValue], removes: tuple[str, ...], *, mark: bool
    ) -> Write:
        """Refused if anything read, set, removed or asked for has changed since; or if the lock has."""
        lock = self._job.lock
        guards: dict[str, WireValue | None]
        if lock is not None:
            guards = {lock: item.get(lock)}
            sets = {**sets, lock: _counted(lock, item.get(lock))}
        else:
            names = (row.seen | self._asked | sets.keys() | set(removes)) - self._keys
            guards = {name: item.get(name) for name in sorted(names)}
        write = Write(sets=sets, removes=removes, guards=guards, mark=mark)
        if not self._fitting(write):
            raise RecordFailed(
                "TooManyGuards",
                f"{len(guards)} attributes were read or changed, more than one conditional write can compare; "
                "name a `lock` attribute in the job file",
            )
        return write

    def _fitting(self, write: Write) -> bool:
        guards = write.guards
        shape = (
            tuple(write.sets), write.removes,
            tuple(name for name, value in guards.items() if value is not None), len(guards),
        )  # fmt: skip
        fits = self._fits.get(shape)
        if fits is None:
            partiql, expression = longest_statement(self._table, self._keys, self._hidden, write)
            fits = len(guards) <= _MAX_GUARDS and (
                expression <= _MAX_EXPRESSION if self._single else partiql <= _MAX_STATEMENT
            )
            if len(self._fits) >= _MAX_SHAPES:
                self._fits.clear()
            self._fits[shape] = fits
        return fits


def _plainly(name: Any) -> Any:
    """A name as it is written: statements would have an enum's member by its own name."""
    return text_of(name) if isinstance(name, str) else name


def _counted(lock: str, value: WireValue | None) -> WireValue:
    """The lock's next value."""
    if value is None:
        return {"N": "1"}
    if "N" not in value:
        raise RecordFailed("LockType", f"{lock} is of type {next(iter(value))}, not a number to count up")
    return wire(int(value["N"]) + 1 if value["N"].lstrip("-").isdigit() else _fraction(lock), lock)


def _fraction(lock: str) -> int:
    raise RecordFailed("LockType", f"{lock} is not a whole number")
