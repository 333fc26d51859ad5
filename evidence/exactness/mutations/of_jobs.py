"""Defects in what a job's function and its deletions rely on."""

from __future__ import annotations

from evidence.exactness.mutations.mutation import DELETIONS, TRANSFORM, Mutation

MUTATIONS = (
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
        '"" if write.bare else f" AND {version}=? AND {run}=?"',
        "f\" AND NOT {quoted('nowhere')} >= ? AND NOT {quoted('nowhere')} >= ?\"",
        DELETIONS,
    ),
    Mutation(
        "a deletion goes without its stamp condition (DeleteItem)",
        "reindexer/dynamo/wire.py",
        'conditions += ["#v=:v", "#r=:r"]',
        'conditions += ["NOT #r >= :v"]',
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
        "what was deleted is reported with the next heartbeat that is due",
        "reindexer/rounds/delivery.py",
        "self._context.heartbeat(immediate=self._deleted)",
        "self._context.heartbeat()",
        DELETIONS,
    ),
)
