"""Defects of removing stamps: what was read with one would be lost, or removed unread."""

from __future__ import annotations

from evidence.exactness.mutations.mutation import UNSTAMP, Mutation

MUTATIONS = (
    Mutation(
        "what earlier attempts read with a stamp is not asked for",
        "reindexer/sinks/unstamping.py",
        "self._known = self._seen.since(start) if after_others and len(stamped) < len(here) else ()",
        "self._known = ()",
        UNSTAMP,
    ),
    Mutation(
        "it is asked for only after an attempt was lost",
        "reindexer/sinks/unstamping.py",
        "after_others = self._request.doubt or start < ahead",
        "after_others = self._request.doubt",
        UNSTAMP,
    ),
    Mutation(
        "what was read with a stamp is not kept",
        "reindexer/sinks/unstamping.py",
        "self._seen.keep(end, [digest(self._key(row)) for row in stamped])",
        "self._seen.keep(end, [])",
        UNSTAMP,
    ),
    Mutation(
        "a removal does not compare what was read",
        "reindexer/operations/unstamp.py",
        "guards=guards, bare=True)",
        "guards={}, bare=True)",
        UNSTAMP,
    ),
    Mutation(
        "an unanswered removal is forgotten by the next round",
        "reindexer/sinks/unstamping.py",
        "before = unknown or self._seen is None",
        "before = self._seen is None",
        UNSTAMP,
    ),
    Mutation(
        "the closing look counts rows that never had a stamp",
        "reindexer/checks/last_look.py",
        "if not self._stamps and digest(key) not in read_before:",
        "if False:",
        UNSTAMP,
    ),
)
