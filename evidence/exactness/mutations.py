"""Defects that would break the promise, one at a time: each must be caught by the tests named beside it."""

from __future__ import annotations

from dataclasses import dataclass

#: No servers needed; they drive delivery and rounds against a model of a conditional table.
ENGINE = ("tests/test_delivery.py", "tests/test_round.py", "tests/test_round_properties.py")
SEMANTICS = ("tests/test_semantics.py",)  # on real engines
JOBS = ("tests/test_jobs_end_to_end.py",)  # on the whole stack
TAXONOMY = ("tests/test_taxonomy.py",)
TRANSFORM = ("tests/test_transform.py",)  # a job's function and its guards, against the model
CLOSING = ("tests/test_closing_look.py", "tests/test_round_properties.py")  # against the model, too
DELETIONS = ("tests/test_transform.py", "tests/test_deletions.py")
FOLDING = ("tests/test_folding.py",)
SLOT = ("tests/test_slot.py",)


@dataclass(frozen=True)
class Mutation:
    """`old`, which stands once in the file at `path`, becomes `new`."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...] = ENGINE


MUTATIONS = (
    Mutation(
        "the condition on the version is dropped (PartiQL)",
        "reindexer/dynamo/wire.py",
        '{guards} AND NOT {version} >= ?"',
        "{guards} AND NOT {quoted('nowhere')} >= ?\"",
        SEMANTICS,
    ),
    Mutation(
        "the condition on the version is dropped (UpdateItem)",
        "reindexer/dynamo/wire.py",
        '"NOT #v >= :v"]',
        '"(NOT #v >= :v OR #v >= :v)"]',
        SEMANTICS,
    ),
    Mutation(
        "attribute_exists is dropped from UpdateItem",
        "reindexer/dynamo/wire.py",
        '["attribute_exists(#k)", ',
        '["(attribute_exists(#k) OR attribute_not_exists(#k))", ',
        SEMANTICS,
    ),
    Mutation(
        "the cursor moves to the end of the page early",
        "reindexer/rounds/checkpoint.py",
        "self.cursor = self._cursor_after(prefix - 1)",
        "self.cursor = self._cursor_after(len(rows) - 1)",
    ),
    Mutation(
        "records beyond the settled prefix are counted",
        "reindexer/rounds/checkpoint.py",
        "while prefix < len(rows) and (result := rows[prefix].result) is not None:",
        "while prefix < len(rows):\n            result = rows[prefix].result or Outcome.UPDATED",
    ),
    Mutation(
        "what was settled beyond the cursor is not told",
        "reindexer/rounds/checkpoint.py",
        "return max(own, inherited - self._passed, 0)",
        "return max(0, inherited - self._passed)",
        CLOSING,
    ),
    Mutation(
        "what an earlier round settled beyond the cursor is not told again",
        "reindexer/rounds/checkpoint.py",
        "return max(own, inherited - self._passed, 0)",
        "return max(own, 0)",
        CLOSING,
    ),
    Mutation(
        "the closing look counts what is not this run's",
        "reindexer/checks/last_look.py",
        "if position in page.gone or evidence(self._stamp, row) is not Outcome.UPDATED:",
        "if position in page.gone or evidence(self._stamp, row) is None:",
        CLOSING,
    ),
    Mutation(
        "the closing look counts a record twice that was unanswered",
        "reindexer/checks/last_look.py",
        "            if identity not in self._known:\n",
        "            if True:\n",
        CLOSING,
    ),
    Mutation(
        "a defect forgets what was sent",
        "reindexer/rounds/delivery.py",
        "                    work.unknown = True\n                raise",
        "                    pass\n                raise",
        ("tests/test_bounds.py",),
    ),
    Mutation(
        "a round's tally is folded twice",
        "reindexer/models/folding.py",
        '"tally": state.tally + progress.tally,',
        '"tally": state.tally + progress.tally + progress.tally,',
        FOLDING,
    ),
    Mutation(
        "what a round counted by partition is forgotten",
        "reindexer/models/folding.py",
        '"partitions": plus_each(state.partitions, progress.partitions),',
        '"partitions": progress.partitions,',
        FOLDING,
    ),
    Mutation(
        "a settled record stays isolated",
        "reindexer/models/folding.py",
        '"isolated": [*others[0], *others[1]]}',
        '"isolated": state.isolated}',
        FOLDING,
    ),
    Mutation(
        "a round that has ended is counted as running, too",
        "workflows/job/slot.py",
        'self.summary, self.running = end.summary.model_copy(update={"newest": []}), Counts()',
        'self.account = end.summary.model_copy(update={"newest": []})',
        SLOT,
    ),
    Mutation(
        "what was seen of a shard takes back what it has signalled",
        "workflows/job/slot.py",
        "if _place(summary) >= _place(known):",
        "if True:",
        SLOT,
    ),
    Mutation(
        "a 500 is read as not applied",
        "reindexer/dynamo/taxonomy.py",
        '_SERVER = (Action.RETRY, None, "server_errors")',
        '_SERVER = (Action.RETRY, False, "server_errors")',
        TAXONOMY,
    ),
    Mutation(
        "an unknown answer is forgotten",
        "reindexer/rounds/delivery.py",
        "work.unknown = work.unknown or failure.applied is None",
        "work.unknown = False",
    ),
    Mutation(
        "a refusal without its item is taken for a missing record",
        "reindexer/sinks/in_place_answers.py",
        "bare = [work.key for work, failure in refusals if failure.item is None]",
        "bare: list[WireKey] = []",
    ),
    Mutation(
        "isolation forgets that a write may have landed",
        "reindexer/sinks/in_place_answers.py",
        "            unknown=work.unknown or work.deleting or self._doubt,\n            given_up=given_up,",
        "            unknown=False,\n            given_up=given_up,",
    ),
    Mutation(
        "UnprocessedKeys are taken for missing records",
        "reindexer/dynamo/reading.py",
        "pending = unprocessed + later",
        "pending = later",
    ),
    Mutation(
        "another run's stamp is taken for ours",
        "reindexer/sinks/evidence.py",
        "    if run == stamp.run_value:",
        "    if run is not None:",
    ),
    Mutation(
        "after a crash nothing is in doubt",
        "reindexer/sinks/in_place.py",
        "self._doubt = request.doubt and",
        "self._doubt = False and",
    ),
    Mutation(
        "a frozen attempt writes on",
        "reindexer/rounds/delivery.py",
        "if self._context.stale():",
        "if False:",
    ),
    Mutation(
        "what the function looked at is not compared",
        "reindexer/jobs/deciding.py",
        "names = (row.seen | self._asked | sets.keys() | set(removes)) - self._keys",
        "names = (self._asked | sets.keys() | set(removes)) - self._keys",
        TRANSFORM,
    ),
    Mutation(
        "what the query names is not compared",
        "reindexer/jobs/deciding.py",
        "names = (row.seen | self._asked | sets.keys() | set(removes)) - self._keys",
        "names = (row.seen | sets.keys() | set(removes)) - self._keys",
        TRANSFORM,
    ),
    Mutation(
        "what is set is not compared",
        "reindexer/jobs/deciding.py",
        "names = (row.seen | self._asked | sets.keys() | set(removes)) - self._keys",
        "names = (row.seen | self._asked | set(removes)) - self._keys",
        TRANSFORM,
    ),
    Mutation(
        "after a conflict the query is not asked again",
        "reindexer/jobs/deciding.py",
        "if not self.matches(item):",
        "if False:",
        TRANSFORM,
    ),
    Mutation(
        "after a conflict the same write is sent again",
        "reindexer/sinks/in_place_answers.py",
        "decision = self._decided(work, item, self._operation.decide)",
        "decision = self._decided(work, item, lambda _: work.write)",
        TRANSFORM,
    ),
    Mutation(
        "a record that left the query is not fenced after an unknown write",
        "reindexer/sinks/in_place_answers.py",
        "if isinstance(decision, Skip) and not work.unknown:",
        "if isinstance(decision, Skip):",
    ),
    Mutation(
        "a row met again outside the query is not fenced",
        "reindexer/sinks/in_place.py",
        "if isinstance(decision, Skip) and (marked or not unknown):",
        "if isinstance(decision, Skip):",
    ),
    Mutation(
        "other code than planned with is run",
        "reindexer/operations/transform.py",
        "if planned is not None and not job.code.startswith(planned):",
        "if False:",
        TRANSFORM,
    ),
    Mutation(
        "a deletion does not compare what its mark compared",
        "reindexer/items.py",
        "return Write(guards=guards, delete=True)",
        "return Write(delete=True)",
        DELETIONS,
    ),
    Mutation(
        "a deletion goes without its stamp condition (PartiQL)",
        "reindexer/dynamo/wire.py",
        """{guards} AND {version}=? AND {run}=?\"""",
        """{guards} AND NOT {quoted('nowhere')} >= ? AND NOT {quoted('nowhere')} >= ?\"""",
        DELETIONS,
    ),
    Mutation(
        "a deletion goes without its stamp condition (DeleteItem)",
        "reindexer/dynamo/wire.py",
        'conditions = [*_guards(write, names, values), "#v=:v", "#r=:r"]',
        'conditions = [*_guards(write, names, values), "NOT #r >= :v"]',
        DELETIONS,
    ),
    Mutation(
        "a marked record is taken for another run's",
        "reindexer/sinks/evidence.py",
        "return MARKED if run == stamp.mark_value else Outcome.CURRENT",
        "return Outcome.CURRENT",
        DELETIONS,
    ),
    Mutation(
        "a deletion that was not answered is forgotten when its round ends",
        "reindexer/sinks/unconfirmed_writes.py",
        "gone = [entry for entry in sent if key_identity(entry[0]) not in found]",
        "gone: list[tuple[WireKey, str | None]] = []",
        DELETIONS,
    ),
    Mutation(
        "a deletion that lands after its round is not looked for at the end",
        "reindexer/rounds/round.py",
        "self._count_gone()  # a late deletion may have landed before its row was handed out",
        "pass",
        DELETIONS,
    ),
    Mutation(
        "an isolated record forgets that its deletion was sent",
        "reindexer/sinks/in_place_answers.py",
        "deleting=work.deleting,",
        "deleting=False,",
        DELETIONS,
    ),
    Mutation(
        "a record that is gone after its deletion is taken for vanished",
        "reindexer/sinks/in_place.py",
        "if item is None and self._unconfirmed.deletion_sent(key):",
        "if False:",
        DELETIONS,
    ),
    Mutation(
        "the end of a shard is judged by what was known of the table before it",
        "activities/identity.py",
        "return self._trouble(target, context, time.monotonic())",
        "return self._trouble(target, context, time.monotonic() - _FRESH_SECONDS)",
        ("tests/test_identity.py",),
    ),
    Mutation(
        "what was deleted is told with the next heartbeat that is due",
        "reindexer/rounds/delivery.py",
        "self._context.heartbeat(immediate=self._deleted)",
        "self._context.heartbeat()",
        DELETIONS,
    ),
)
