"""Defects of comparing: a difference would be missed, invented, named twice or not kept."""

from __future__ import annotations

from evidence.exactness.mutations.mutation import COMPARE, Mutation

MUTATIONS = (
    Mutation(
        "a row that did not hold still is judged all the same",
        "reindexer/compare/confirming.py",
        "if (before is None) is not (after is None) or (before and after and not rules.equal(before, after)):",
        "if False:",
        COMPARE,
    ),
    Mutation(
        "the row is not read again after its counterpart",
        "reindexer/compare/confirming.py",
        "before, other, after = (read.get(identity) for read in reads)",
        "before, other, after = (reads[place].get(identity) for place in (0, 1, 0))",
        COMPARE,
    ),
    Mutation(
        "what two scans handed out at different times is not confirmed",
        "reindexer/compare/reading_together.py",
        "            self._judge.add(Suspect(first, other))",
        '            first.settle("different")\n            other.settle("matched")',
        COMPARE,
    ),
    Mutation(
        "a row that was looked up and not found is missing without being confirmed",
        "reindexer/compare/reading_together.py",
        "self._judge.add(Suspect(other=row) if number else Suspect(first=row))",
        'row.settle("extraneous" if number else "missing")',
        COMPARE,
    ),
    Mutation(
        "the cursor moves over rows that are not settled",
        "reindexer/compare/checkpoint.py",
        "            if queue.empty:",
        "            if True:",
        COMPARE,
    ),
    Mutation(
        "a difference is covered before it is kept",
        "reindexer/compare/checkpoint.py",
        "        if not self._unkept:\n            self._cover()",
        "        if True:\n            self._cover()",
        COMPARE,
    ),
    Mutation(
        "a round numbers what it keeps from the beginning",
        "reindexer/compare/checkpoint.py",
        "self._chunks = request.chunks",
        "self._chunks = 0",
        COMPARE,
    ),
    Mutation(
        "a round that may have a successor keeps differences",
        "reindexer/compare/checkpoint.py",
        "if self._unkept and self._context.stale():",
        "if False:",
        COMPARE,
    ),
    Mutation(
        "the scans are eventually consistent",
        "reindexer/compare/side.py",
        '"ConsistentRead": True',
        '"ConsistentRead": False',
        COMPARE,
    ),
    Mutation(
        "rows are looked up with eventually consistent reads",
        "reindexer/dynamo/calls.py",
        '"ConsistentRead": True',
        '"ConsistentRead": False',
        COMPARE,
    ),
    Mutation(
        "keys that came back unprocessed are taken for missing",
        "reindexer/dynamo/calls.py",
        'left = len(left), unprocessed[0]["Keys"] if unprocessed else []',
        "left = len(left), []",
        COMPARE,
    ),
    Mutation(
        "numbers are compared as floats",
        "reindexer/values.py",
        "return Decimal(a) == Decimal(b)",
        "return float(a) == float(b)",
        COMPARE,
    ),
    Mutation(
        "number keys are compared as floats",
        "reindexer/compare/rows.py",
        'return lambda row: Decimal(row[name]["N"])',
        'return lambda row: float(row[name]["N"])',
        COMPARE,
    ),
    Mutation(
        "sets are compared in their order",
        "reindexer/values.py",
        "return set(a) == set(b)",
        "return bool(a == b)",
        COMPARE,
    ),
    Mutation(
        "a tombstone of the other table counts as its row",
        "reindexer/compare/reading_together.py",
        "there = counterpart is not None and present(counterpart)",
        "there = counterpart is not None",
        COMPARE,
    ),
    Mutation(
        "rows that fall out of the window are dropped",
        "reindexer/compare/reading_together.py",
        "self._overdue[place].extend(queue.overdue())",
        "[row.settle('other_absent' if place else 'absent') for row in queue.overdue()]",
        COMPARE,
    ),
    Mutation(
        "the last differences of a round are not kept",
        "reindexer/compare/checkpoint.py",
        "for start in range(0, len(self._unkept), self._together):",
        "for start in range(0, len(self._unkept) - 1, self._together):",
        COMPARE,
    ),
)
