"""Defects of search indexes: a document would be missing, old or another's, or counted as what it is not."""

from __future__ import annotations

from evidence.exactness.mutations.mutation import INDEX, INDEX_JOBS, INDEX_WRITES, REFRESH, Mutation

_ORDERED = "reindexer/sinks/ordered.py"

MUTATIONS = (
    Mutation(
        "an equal stored order is not ours",
        "reindexer/streams/order.py",
        "    if stored == order:\n        return Standing.OURS",
        "    if stored == order:\n        return Standing.NEWER",
        INDEX,
    ),
    Mutation(
        "a refusal that does not name the stored order counts as updated, without a look",
        _ORDERED,
        "orders = orders_met(self._sink, refusals)",
        "orders = [self._sink.order_shown(f) or w.write.order for w, f in refusals]",
        INDEX,
    ),
    Mutation(
        "a document that has gone since it refused a write counts as written",
        _ORDERED,
        "found = Standing.OLDER if stored is None else",
        "found = Standing.OURS if stored is None else",
        INDEX,
    ),
    Mutation(
        "a record that is gone leaves no tombstone",
        _ORDERED,
        "            return PendingWrite(position, key, Put(order, None, gone, old=old))",
        "            return gone",
        INDEX,
    ),
    Mutation(
        "a record that was written before it was gone counts as vanished",
        _ORDERED,
        "return Outcome.UPDATED if work.write.outcome is Outcome.VANISHED else work.write.outcome",
        "return work.write.outcome",
        INDEX,
    ),
    Mutation(
        "what another writer has written counts as a newer change",
        _ORDERED,
        "if found is Standing.FOREIGN:",
        "if False:",
        INDEX,
    ),
    Mutation(
        "the scan for an index is eventually consistent",
        "reindexer/table_rounds.py",
        "make_source(request.source, target, table, None, rows, context, consistent=True)",
        "make_source(request.source, target, table, None, rows, context, consistent=False)",
        INDEX,
    ),
    Mutation(
        "documents are written through the readers' alias",
        "reindexer/sinks/search_index.py",
        "client, target.key, target.search.write_alias",
        "client, target.key, target.search.alias",
        INDEX,
    ),
    Mutation(
        "an answer for some of the documents is taken for all of it",
        "reindexer/sinks/search_index.py",
        "if len(results) != len(some):",
        "if False:",
        INDEX,
    ),
    Mutation(
        "a document may be written at its own order again",
        "reindexer/sinks/search_index.py",
        'False: b"external",',
        'False: b"external_gte",',
        INDEX_WRITES,
    ),
    Mutation(
        "of what is written again the row is read first, and then what is stored",
        "reindexer/sources/refreshed.py",
        """        orders = self._orders(keys)
        found, consumed = read_consistently(self._table, keys, None, self._context)
""",
        """        found, consumed = read_consistently(self._table, keys, None, self._context)
        orders = self._orders(keys)
""",
        REFRESH,
    ),
    Mutation(
        "a refused document is written at the newer order as it was",
        "reindexer/sinks/refreshing.py",
        "work.write, work.unknown = made, False",
        "work.write, work.unknown = replace(work.write, order=made.order, again=True), False",
        REFRESH,
    ),
    Mutation(
        "what is not in the index is written over what has come since",
        "reindexer/sinks/refreshing.py",
        "there, again = order is not None, bool(order)",
        "there, again = order is not None, True",
        REFRESH,
    ),
    Mutation(
        "a record that is gone keeps its document",
        "reindexer/sinks/refreshing.py",
        "            return Put(at, None, Outcome.VANISHED, replaces=there, again=again)",
        "            return Outcome.VANISHED",
        REFRESH,
    ),
    Mutation(
        "a write to an alias that is gone creates an index",
        "reindexer/search/client.py",
        'require_alias="true", ',
        "",
        INDEX_WRITES,
    ),
    Mutation(
        "readers get an index that lacks documents",
        "reindexer/models/search_index.py",
        "self.documents >= self.expected",
        "self.documents >= 0",
        INDEX,
    ),
    Mutation(
        "readers get an index with documents that have no record",
        "reindexer/models/search_index.py",
        "self.documents == self.exactly",
        "self.documents >= self.exactly",
        INDEX,
    ),
    Mutation(
        "readers get an index though records are given up",
        "workflows/job/index.py",
        "complete = whole and (follows or not wrong)",
        "complete = whole",
        INDEX_JOBS,
    ),
)
