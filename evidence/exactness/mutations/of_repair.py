"""Defects of repairing: what others wrote would be lost, or a write counted as what it was not."""

from __future__ import annotations

from evidence.exactness.mutations.mutation import COPIES, REPAIR, Mutation

_REPAIRING, _NEEDED = "reindexer/sinks/repairing.py", "reindexer/compare/repair.py"

MUTATIONS = (
    Mutation(
        "the table is read before the other one",
        "reindexer/sinks/pair.py",
        "        others, _ = self._read(1, keys)\n        first, units = self._read(0, keys)\n",
        "        first, units = self._read(0, keys)\n        others, _ = self._read(1, keys)\n",
        REPAIR,
    ),
    Mutation(
        "a repair does not compare what it changes",
        _NEEDED,
        "guards={name: other.get(name) for name in (*some, *order)},",
        "guards={},",
        REPAIR,
    ),
    Mutation(
        "a repair removes a row whatever it has become",
        _NEEDED,
        "Write(guards={name: item[name] for name in last}, delete=True, bare=True)",
        "Write(delete=True, bare=True)",
        REPAIR,
    ),
    Mutation(
        "a bare write asks for the opposite of what was read (PartiQL)",
        "reindexer/dynamo/wire.py",
        'return f"{text} WHERE {self._where}{guards}"',
        'return f"{text} WHERE {self._where}" + guards.replace(" AND ", " AND NOT ")',
        REPAIR,
    ),
    Mutation(
        "a refused creation counts as created",
        "reindexer/sinks/other_table.py",
        "return replace(failure, action=Action.SETTLE, applied=False)",
        "return None",
        REPAIR,
    ),
    Mutation(
        "a refused creation is taken for two statements of one item",
        "reindexer/sinks/other_table.py",
        'failure.code != "DuplicateItem"',
        "failure.code",
        REPAIR,
    ),
    Mutation(
        "a write that an earlier round sent is forgotten when the row is written again",
        _REPAIRING,
        "unknown = unknown or self._doubt or (self._scans and doubt)",
        "unknown = self._scans and (unknown or doubt)",
        REPAIR,
    ),
    Mutation(
        "a write that was not answered is forgotten by the next round",
        _REPAIRING,
        "return self._as_sent(position, key, both) if unknown or doubt else equal_already(both)",
        "return equal_already(both)",
        REPAIR,
    ),
    Mutation(
        "after a lost attempt nothing is in doubt",
        _REPAIRING,
        "self._doubt = request.doubt and not self._each",
        "self._doubt = False",
        REPAIR,
    ),
    Mutation(
        "rows that an earlier round repaired beyond the cursor count as equal already",
        _REPAIRING,
        "self._ahead = request.ahead  #",
        "self._ahead = 0  #",
        REPAIR,
    ),
    Mutation(
        "an isolated record forgets that it may have been created",
        _REPAIRING,
        "creating=work.unknown and outcome_of(work.write) is Outcome.CREATED,",
        "creating=False,",
        REPAIR,
    ),
    Mutation(
        "after a conflict the same repair is sent again",
        _REPAIRING,
        "work.write, work.unknown = both.write, False",
        "work.unknown = False",
        REPAIR,
    ),
    Mutation(
        "the cursor of differences is one ahead",
        "reindexer/sources/differences.py",
        '{"chunk": chunk, "line": start + position + 1}',
        '{"chunk": chunk, "line": start + position + 2}',
        REPAIR,
    ),
    Mutation(
        "the cursor of differences is one behind",
        "reindexer/sources/differences.py",
        '{"chunk": chunk, "line": start + position + 1}',
        '{"chunk": chunk, "line": start + position}',
        REPAIR,
    ),
    Mutation(
        "each chunk of differences begins where the first one did",
        "reindexer/sources/differences.py",
        "            first = 0\n",
        "",
        REPAIR,
    ),
    Mutation(
        "what does not fit one write of a repair is left out",
        _REPAIRING,
        "return work.write.rest or outcome_of(work.write)",
        "return outcome_of(work.write)",
        REPAIR,
    ),
    Mutation(
        "a repaired copy keeps the digest of its former attributes",
        _NEEDED,
        "untrue = [NAMES] if NAMES in other else []",
        "untrue: list[str] = []",
        COPIES,
    ),
    Mutation(
        "a repaired copy keeps a digest that others have made untrue",
        _NEEDED,
        "untrue = [NAMES] if NAMES in other else []",
        "untrue = [NAMES] if NAMES in other and wanted.keys() != has.keys() else []",
        COPIES,
    ),
)
