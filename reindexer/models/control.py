"""What the root tells its shards, and what comes with an operator's signals."""

from __future__ import annotations

import re
from typing import Any

from pydantic import NonNegativeInt, PositiveInt, field_validator

from reindexer.models.model import Asked, Model
from reindexer.models.rounds import Share


class Resume(Asked):
    """What may come with a `resume`. `code`: digits of the hash of a job's changed code, to go on with it.

    `rescan`: of a follow, scan the table again into the same index, with a new epoch.
    """

    reason: str | None = None
    code: str | None = None
    rescan: bool = False

    @field_validator("code", mode="before")
    @classmethod
    def _is_a_hash(cls, given: Any) -> Any:
        # From the 12 that are shown, which tell two versions of a file apart, to all of SHA-256.
        if given is not None and not (isinstance(given, str) and re.fullmatch("[0-9a-f]{12,64}", given)):
            raise ValueError(
                "should be 12 to 64 digits (0-9, a-f) of the code's hash, as the parked job's reason shows it "
                f"(given: {str(given)[:80]!r})"  # 80: a hash and some more
            )
        return given


class Control(Model):
    """The desired state, whole. A receiver ignores one whose `seq` is older than what it has."""

    seq: NonNegativeInt = 0
    paused: bool = False
    paused_since: NonNegativeInt = 0  # the seq of the pause in force: what a shard acknowledges
    stop: bool = False  # the job is being cancelled: hand back for good
    cycle: NonNegativeInt = 0  # above the one that a shard was started with: hand back, and be started again
    share: Share = Share()
    code: str | None = None  # of the job file, where it was accepted after the plan was made
    quarantine_step: PositiveInt = 1  # records given up after which the root is signalled
