"""Carrying a verification through its rounds as the workflow does, with what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reindexer.checks.verification import verify_segment
from reindexer.items import Key, key_text
from reindexer.models import VerifyInput, VerifyResult
from reindexer.round_context import RoundContext


@dataclass
class Verified:
    """What the rounds came to. `kept`: the partition of each key that was kept, by its text."""

    results: list[VerifyResult] = field(default_factory=list)
    kept: dict[str, str | None] = field(default_factory=dict)

    def keep(self, keys: list[Key], partitions: list[str]) -> None:
        assert len(partitions) in (0, len(keys))
        places: list[str] | list[None] = partitions or [None] * len(keys)
        self.kept.update(zip(map(key_text, keys), places, strict=True))

    def fold(self, result: VerifyResult) -> VerifyResult:
        self.results.append(VerifyResult.model_validate(result.model_dump(mode="json")))
        assert len(self.results) < 1000, "it does not come to an end"
        return self.results[-1]

    @property
    def scanned(self) -> int:
        return sum(result.scanned for result in self.results)

    @property
    def behind(self) -> int:
        return sum(result.behind for result in self.results)


def verified(request: VerifyInput, client: Any, context: RoundContext, *, keep: bool = True) -> Verified:
    """Round after round from the cursor of the one before, until it is done or there is a fault."""
    found = Verified()
    while True:
        result = found.fold(verify_segment(request, client, context, found.keep if keep else None))
        if result.done or result.fault:
            return found
        request = request.model_copy(update={"cursor": result.cursor})
