"""Defects of a follow: a change would be lost, come back, be carried out of its order, or count twice."""

from __future__ import annotations

from evidence.exactness.mutations.mutation import (
    FOLDING,
    FOLLOW,
    FOLLOW_JOBS,
    LEDGER,
    LINEAGES,
    PURGE,
    READING,
    Mutation,
)

_FOLLOWING = "reindexer/streams/following.py"
_LINEAGES = "reindexer/streams/lineages.py"
_READING = "reindexer/streams/reading.py"
_ORDERED = "reindexer/sinks/ordered.py"

MUTATIONS = (
    Mutation(
        "children are read beside a parent that is shown open",
        _LINEAGES,
        "if shard.shard in heads and not heads & set(graph.above(shard))]",
        "if shard.shard in heads]",
        LINEAGES,
    ),
    Mutation(
        "a child begins once its parent's pages come empty",
        _FOLLOWING,
        "        if read.ended:\n            after",
        "        if read.ended or not read.changes:\n            after",
        LINEAGES,
    ),
    Mutation(
        "a child goes on from the floor",
        _LINEAGES,
        "return [_begun(child, end.ordinal, at) for child",
        "return [_begun(child, 0, at) for child",
        LINEAGES,
    ),
    Mutation(
        "a stream shard is read from LATEST",
        "reindexer/streams/client.py",
        '{"ShardIteratorType": "TRIM_HORIZON"}',
        '{"ShardIteratorType": "LATEST"}',
        READING,
    ),
    Mutation(
        "changes from before the opening are sent",
        _FOLLOWING,
        "return self._opening is not None and is_before_opening(change.changed_at, self._opening)",
        "return False",
        FOLLOW,
    ),
    Mutation(
        "changes are superseded by one that is given up",
        "reindexer/rounds/coalescing.py",
        "        if isinstance(result, Isolated):\n",
        "        if False:\n",
        FOLLOW,
    ),
    Mutation(
        "ordinals are counted after filtering",
        _FOLLOWING,
        "        after = _moved(cursor, cursor.reading[shard], read.position)\n",
        "        before, passed = cursor.reading[shard].position.ordinal, read.position\n"
        '        counted = passed.model_copy(update={"ordinal": before + len(changes)})\n'
        "        after = _moved(cursor, cursor.reading[shard], counted)\n",
        FOLLOW,
    ),
    Mutation(
        "sequence numbers are compared as texts",
        _READING,
        "numbers = [int(change.sequence_number) for change in changes]\n"
        "    if position.sequence_number is not None:\n"
        "        numbers.insert(0, int(position.sequence_number))",
        "numbers = [change.sequence_number for change in changes]\n"
        "    if position.sequence_number is not None:\n"
        "        numbers.insert(0, position.sequence_number)",
        LINEAGES,
    ),
    Mutation(
        "an iterator that expired begins at the end of what was read before it",
        _READING,
        "                self._iterator = None\n",
        "                self._iterator, self.position = None, self.position.model_copy(\n"
        '                    update={"sequence_number": None}\n'
        "                )\n",
        READING,
    ),
    Mutation(
        "the beginning of a shard counts as kept for ever",
        _READING,
        "self._clock() - self.position.found_at > BEGINNING_KEPT",
        "False",
        READING,
    ),
    Mutation(
        "a change is written at the floor",
        _ORDERED,
        "            order = order_of(self._epoch, change.ordinal)\n",
        "",
        FOLLOW,
    ),
    Mutation(
        "a deletion that a change tells of leaves no tombstone",
        _ORDERED,
        "            return PendingWrite(position, key, Put(order, None, gone, old=old))",
        "            return gone",
        FOLLOW,
    ),
    Mutation(
        "a change without its image takes the row for gone",
        _ORDERED,
        "item = change.new or self._read.get(key_identity(key))",
        "item = change.new",
        FOLLOW,
    ),
    Mutation(
        "a record that was given up is written as a new change",
        _ORDERED,
        "order = self._orders[key_identity(key)]",
        "order = self._orders[key_identity(key)] + 2**20",
        FOLLOW,
    ),
    Mutation(
        "the cursor of a page covers all of it once some is settled",
        _FOLLOWING,
        "return _moved(self.before, reading, after_change(reading.position, self.changes[place]))",
        "return _moved(self.before, reading, after_change(reading.position, self.changes[-1]))",
        FOLLOW,
    ),
    Mutation(
        "a tombstone goes as soon as it is there",
        "reindexer/streams/order.py",
        "TOMBSTONE_KEPT = timedelta(minutes=15)",
        "TOMBSTONE_KEPT = timedelta(0)",
        PURGE,
    ),
    Mutation(
        "a tombstone is removed whatever has been written over it",
        "reindexer/search/tombstones.py",
        '        "version": order,\n',
        '        "version": order + 2**20,\n',
        PURGE,
    ),
    Mutation(
        "a second writer takes an epoch of its own below the first",
        "reindexer/ledger/epochs.py",
        '"attribute_not_exists(pk) OR #e < :e OR (#e = :e AND #r = :r)"',
        '"attribute_not_exists(pk) OR #e < :e OR #e >= :e OR #r = :r"',
        LEDGER,
    ),
    Mutation(
        "an empty page says that everything was handed out",
        "reindexer/sources/stream.py",
        "SETTLES_SECONDS = 60.0",
        "SETTLES_SECONDS = 0.0",
        FOLLOW,
    ),
    Mutation(
        "readers get the index before what changed during its scan",
        "workflows/job/following.py",
        "if through(self._shards) <= end:",
        "if end <= 0:",
        FOLLOW_JOBS,
    ),
    Mutation(
        "what follows takes the room of the scan",
        "workflows/job/shards.py",
        "taken = sum(not shard.follows for shard in tasks.values())",
        "taken = len(tasks)",
        FOLLOW_JOBS,
    ),
    Mutation(
        "what follows takes the slots of the scan",
        "workflows/job/children.py",
        "(plan.following_queue if shard.follows else None) or plan.rounds_queue",
        "plan.rounds_queue",
        FOLLOW_JOBS,
    ),
    Mutation(
        "an isolated record waits for the end of a round at rest",
        "reindexer/rounds/round.py",
        "return self._context.now() - self._isolated_at >= _KEPT_SECONDS",
        "return False",
        FOLLOW,
    ),
    Mutation(
        "what is learnt of an isolated change takes its time away",
        "reindexer/models/folding.py",
        'kept = {"partition": before.partition, "changed_ms": before.changed_ms}',
        'kept = {"partition": before.partition, "changed_ms": 0}',
        FOLDING,
    ),
)
