"""Defects of a replica: a record would go back, outlive its deletion, or count as what it is not.

Those of the order, of changes and of a scan's consistency are an index's and a follow's as well, and are there.
"""

from __future__ import annotations

from evidence.exactness.mutations.mutation import REFRESH, REPLICA, Mutation

_REPLICA, _COPIES = "reindexer/sinks/replica.py", "reindexer/sinks/copies.py"
_OLDER = "reindexer/sources/older_epochs.py"
_ORDERED, _OPERATION = "reindexer/sinks/ordered.py", "reindexer/operations/replicate.py"
_CONDITION = '"attribute_not_exists(#o) OR #o < :o"'

MUTATIONS = (
    Mutation(
        "a row of a replica may be written at its own order again",
        _REPLICA,
        _CONDITION,
        '"attribute_not_exists(#o) OR #o <= :o"',
        REPLICA,
    ),
    Mutation(
        "a row of a replica is written whatever is there",
        _REPLICA,
        '                "ConditionExpression": condition,\n',
        "",
        REPLICA,
    ),
    Mutation(
        "what is written again into a replica passes what has come since",
        _REPLICA,
        '"#o = :o" if put.again',
        '"attribute_exists(#o)" if put.again',
        REFRESH,
    ),
    Mutation(
        "of a partition that is written again only what the table has is looked at",
        "reindexer/table_rounds.py",
        "        named = with_replica(named, request.source, request.target, second.table, context)\n",
        "        pass\n",
        REFRESH,
    ),
    Mutation(
        "where a table and its replica are read side by side the one ahead is read on",
        "reindexer/sources/either.py",
        "return there if there.place < here.place else here",
        "return here if there.place < here.place else there",
        REFRESH,
    ),
    Mutation(
        "a copy is updated whatever attributes it has",
        _COPIES,
        "guards={NAMES: shape.before}",
        "guards={}",
        REPLICA,
    ),
    Mutation(
        "a copy of an earlier epoch is updated, with what others have added to it",
        _COPIES,
        "json.dumps([self._epoch, *sorted(every)])",
        "json.dumps(sorted(every))",
        ("tests/test_copies.py",),
    ),
    Mutation(
        "what a record has lost stays in its copy",
        _COPIES,
        "removes=removes,",
        "removes=(),",
        REPLICA,
    ),
    Mutation(
        "an update leaves the digest of the names that were",
        _COPIES,
        "after=self._names_of(put)",
        "after=self._digest(before)",
        REPLICA,
    ),
    Mutation(
        "a tombstone passes for a record without attributes",
        _COPIES,
        "_OF_TOMBSTONE if put.body is None else self._digest(attributes_of(put))",
        "self._digest(attributes_of(put))",
        ("tests/test_copies.py",),
    ),
    Mutation(
        "a batch changes one row twice",
        _REPLICA,
        "None if identity in items else self._statement(key, put)",
        "self._statement(key, put)",
        REPLICA,
    ),
    Mutation(
        "a row without an order is never written over",
        _REPLICA,
        _CONDITION,
        '"#o < :o"',
        REPLICA,
    ),
    Mutation(
        "a deletion leaves no mark, but a row without attributes",
        _REPLICA,
        "        return {GONE: until, self._ttl: until}\n",
        "        return {}\n",
        REPLICA,
    ),
    Mutation(
        "a mark lacks the attribute by which DynamoDB removes it",
        _REPLICA,
        "return {GONE: until, self._ttl: until}",
        "return {GONE: until}",
        REPLICA,
    ),
    Mutation(
        "a deletion removes the row of a replica, order and all",
        _REPLICA,
        "        item = self._copies.item",
        "        if put.body is None:\n"
        '            return self._table.delete({"Key": key})\n'
        "        item = self._copies.item",
        REPLICA,
    ),
    Mutation(
        "an insertion that is refused counts as written, without a look",
        _REPLICA,
        "return None if failure.item is None else order_in(failure.item)",
        "return self._floor if failure.item is None else order_in(failure.item)",
        REPLICA,
    ),
    Mutation(
        "a newer order in a replica counts as this run's",
        "reindexer/streams/order.py",
        "return Standing.NEWER if stored <= max(newest, order) + FAR else Standing.FOREIGN",
        "return Standing.OURS if stored <= max(newest, order) + FAR else Standing.FOREIGN",
        REPLICA,
    ),
    Mutation(
        "a row without an order counts as one that is gone",
        _COPIES,
        "return 0 if value is None else int(Decimal(value))",
        "return 2**62 if value is None else int(Decimal(value))",
        REPLICA,
    ),
    Mutation(
        "what an insertion met is inserted again",
        _ORDERED,
        "work.write = replace(work.write, replaces=True)",
        "work.write = replace(work.write)",
        REPLICA,
    ),
    Mutation(
        "rows that came without an order stay, whatever the table holds",
        _OLDER,
        '"(NOT attribute_type(#o, :number) OR #o < :floor) AND attribute_not_exists(#g)"',
        '"#o < :floor AND attribute_not_exists(#g)"',
        REPLICA,
    ),
    Mutation(
        "rows of an earlier epoch stay, whatever the table holds",
        _OLDER,
        '"(NOT attribute_type(#o, :number) OR #o < :floor) AND attribute_not_exists(#g)"',
        '"NOT attribute_type(#o, :number) AND attribute_not_exists(#g)"',
        REPLICA,
    ),
    Mutation(
        "what a lost attempt has marked as deleted is not counted",
        _OLDER,
        'f"({older}) OR #o = :settled"',
        "older",
        REPLICA,
    ),
    Mutation(
        "marks of earlier epochs are counted as removed once more",
        _OLDER,
        "OR #o < :floor) AND attribute_not_exists(#g)",
        "OR #o < :floor)",
        REPLICA,
    ),
    Mutation(
        "a row that is read again is taken for gone, and marked",
        _OLDER,
        "if key_identity(key) not in found)",
        "if key_identity(key) in found or not found)",
        REPLICA,
    ),
    Mutation(
        "a named record that is left out keeps its row of an earlier epoch",
        _ORDERED,
        "self._settles_older = self._older or (refilled and isinstance(request.source, KeyList))",
        "self._settles_older = False",
        REPLICA,
    ),
    Mutation(
        "a record of the sweep that is tried by itself counts as vanished",
        "reindexer/rounds/record.py",
        "            older=record.older,\n",
        "",
        REPLICA,
    ),
    Mutation(
        "what a cancelled sweep has marked counts as vanished",
        "reindexer/table_rounds.py",
        "InOrder(sink, request.target, order, Outcome.REMOVED)",
        "InOrder(sink, request.target, order)",
        REPLICA,
    ),
    Mutation(
        "what earlier jobs have stamped is copied",
        _OPERATION,
        "frozenset((*OF_COPIES, *target.other.left_out, *keys))",
        "frozenset((*OF_COPIES, *keys))",
        REPLICA,
    ),
    Mutation(
        "a row that marks a deletion is copied as a row",
        _OPERATION,
        "        if GONE in item:\n            return _TOMBSTONE\n",
        "",
        REPLICA,
    ),
)
