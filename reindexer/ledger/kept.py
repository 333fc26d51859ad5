"""What a job keeps while it runs, because it is too large to travel in Temporal's payloads.

States of shards, keys of rows that a verification found behind, and the key lists made of these. All of it lies
in one partition of the run and is deleted when the job ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from pydantic import TypeAdapter

from reindexer.errors import EnvironmentFault
from reindexer.items import Key, from_json_key, key_identity, key_text
from reindexer.ledger.failures import place_of
from reindexer.ledger.store import Store, text
from reindexer.models import Kept, KeptKeys, KeyList, ShardState

#: Bytes of a compressed state in one item. DynamoDB's limit is 400 KB, names and the other attributes included.
_PART_BYTES = 350_000
#: Keys of one list: a shard reads them in five calls.
KEYS_PER_LIST = 500
#: Bytes of JSON of one list: it is an item of the ledger, and in memory it is a round's source.
BYTES_PER_LIST = 128 * 1024
#: Calls in flight for many small items. botocore's default pool has 10 connections.
_THREADS = 8
#: Items written or deleted between two signs of life: about 0.3 s with 8 in flight.
_BETWEEN_BEATS = 200

_KEY: TypeAdapter[Key] = TypeAdapter(Key)


class KeptWhileRunning:
    """States, keys and key lists by job and run. Every write may be repeated."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_state(self, kept: Kept, state: ShardState) -> None:
        """Keep the state in as many items as it needs."""
        packed = zlib.compress(state.model_dump_json().encode())
        parts = [packed[start : start + _PART_BYTES] for start in range(0, len(packed), _PART_BYTES)]
        for number, part in enumerate(parts):
            item = {
                "pk": {"S": kept_partition(kept.job, kept.run)},
                "sk": {"S": f"{_state(kept)}{number:03}"},
                "parts": {"N": str(len(parts))},
                "packed": {"B": part},
            }
            self._store.call("put_item", Item=item)

    def state(self, kept: Kept) -> ShardState:
        """What `put_state` was given. Raises `EnvironmentFault` of code `StateMissing`."""
        parts = self._store.whole(kept_partition(kept.job, kept.run), _state(kept))
        if parts is None:
            raise EnvironmentFault(
                "StateMissing",
                f"the ledger {self._store.table} has no complete state {kept.number} of shard {kept.index} of "
                f"job {kept.job}, run {kept.run}",
            )
        packed = b"".join(part["packed"]["B"] for part in parts)
        return ShardState.model_validate_json(zlib.decompress(packed))

    def put_behind(
        self,
        job: str,
        run: str,
        keys: Sequence[Key],
        partitions: Sequence[str] = (),
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep the keys of rows found behind, one item each: a key kept twice is one.

        `partitions`: the partition that each counts to, in their order; none where the job does not count by
        partitions. `heartbeat` is called about three times a second.
        """
        pk = {"S": kept_partition(job, run)}
        items = [
            {"pk": pk, "sk": {"S": f"behind#{place_of(key)}"}, "key": {"S": key_text(key)}} for key in keys
        ]
        for item, partition in zip(items, partitions, strict=bool(partitions)):
            item["partition"] = {"S": partition}
        self._each("put_item", ({"Item": item} for item in items), heartbeat)

    def collect_behind(
        self, job: str, run: str, most: int, without: Collection[Key] = ()
    ) -> tuple[int, list[KeptKeys]]:
        """(keys kept as behind, the first `most` of them in lists, but for those in `without`).

        The lists are kept, too, in the order of their numbers. Called again, it makes the same ones.
        """
        out = {key_identity(from_json_key(key)) for key in without}
        lists = _Lists(most)
        kept = 0
        for item in self._store.query(kept_partition(job, run), prefix="behind#"):
            kept += 1
            key: Key = _KEY.validate_json(text(item, "key"))
            if key_identity(from_json_key(key)) not in out:
                lists.add(key, item["partition"]["S"] if "partition" in item else None)
        return kept, self._keep(job, run, lists)

    def keep_lists(self, job: str, run: str, keys: Sequence[Key]) -> list[KeptKeys]:
        """Keep these keys in lists, in the place of those that were kept before."""
        lists = _Lists(len(keys))
        for key in keys:
            lists.add(key, None)
        return self._keep(job, run, lists)

    def _keep(self, job: str, run: str, lists: _Lists) -> list[KeptKeys]:
        for number, source in enumerate(lists.made):
            item = {
                "pk": {"S": kept_partition(job, run)},
                "sk": {"S": _list(number)},
                "keys": {"S": source.model_dump_json()},
            }
            self._store.call("put_item", Item=item)
        made = enumerate(lists.made)
        return [KeptKeys(job=job, run=run, number=n, count=len(part.keys)) for n, part in made]

    def keys_of(self, source: KeptKeys) -> KeyList:
        """The list itself. Raises `EnvironmentFault` of code `KeysMissing`."""
        item = self._store.get(kept_partition(source.job, source.run), _list(source.number))
        if item is None:
            raise EnvironmentFault(
                "KeysMissing",
                f"the ledger {self._store.table} has no key list {source.number} of job {source.job}, "
                f"run {source.run}",
            )
        return KeyList.model_validate_json(text(item, "keys"))

    def clear(self, job: str, run: str) -> int:
        """Delete all that is kept of the run; returns the number of items."""
        pk = {"S": kept_partition(job, run)}
        keys = ({"Key": {"pk": pk, "sk": item["sk"]}} for item in self._store.query(pk["S"], only="sk"))
        return self._each("delete_item", keys)

    def _each(
        self, operation: str, calls: Iterable[dict[str, Any]], heartbeat: Callable[[], None] = lambda: None
    ) -> int:
        """Many calls, a few at a time; returns how many. Raises what the first failed one raises."""
        done, left = 0, iter(calls)
        with ThreadPoolExecutor(_THREADS) as pool:
            while some := list(islice(left, _BETWEEN_BEATS)):
                heartbeat()
                done += sum(1 for _ in pool.map(lambda call: self._store.call(operation, **call), some))
        return done


class _Lists:
    """Keys cut into lists, bounded in count and bytes."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._size = 0
        self._keys: list[list[Key]] = []
        self._partitions: list[list[str]] = []

    def add(self, key: Key, partition: str | None) -> None:
        if not self._left:
            return
        self._left -= 1
        # As it is written: the key's JSON, its partition's, two commas and a blank or two.
        size = len(key_text(key).encode()) + len((partition or "").encode()) + 8
        if not self._keys or len(self._keys[-1]) >= KEYS_PER_LIST or self._size + size > BYTES_PER_LIST:
            self._keys.append([])
            self._partitions.append([])
            self._size = 0
        self._keys[-1].append(key)
        self._partitions[-1] += [] if partition is None else [partition]
        self._size += size

    @property
    def made(self) -> list[KeyList]:
        both = zip(self._keys, self._partitions, strict=True)
        return [KeyList(keys=keys, partitions=partitions) for keys, partitions in both]


def kept_partition(job: str, run: str) -> str:
    """Where all of it lies, until `clear`."""
    return f"kept#{job}#{run}"


def _state(kept: Kept) -> str:
    return f"state#{kept.index:03}#{kept.number:06}#"


def _list(number: int) -> str:
    return f"keys#{number:04}"
