"""Reads that change nothing: verification and dry run."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reindexer.items import Key
from reindexer.models.model import Model
from reindexer.models.plan import Source, Target
from reindexer.models.rounds import Fault, Share
from reindexer.tally import Tally


class VerifyInput(Model):
    target: Target
    segment: NonNegativeInt
    total: PositiveInt
    cursor: Key | None = None
    share: Share = Share()
    keep: NonNegativeInt = 1000  # keys of rows behind to hand back; more are only counted
    keys: list[Key] | None = None  # instead of a segment
    values: list[str] | None = None  # instead of both: partitions of `target.within`, whole
    heartbeat_timeout: float = 10.0
    seconds: float = 30.0


class VerifyResult(Model):
    scanned: NonNegativeInt = 0
    behind: NonNegativeInt = 0
    keys: list[Key] = []
    partitions: list[str] = []  # that each of these keys was found in, of a job over partitions
    cursor: Key | None = None
    done: bool = False
    fault: Fault | None = None
    read_units: NonNegativeFloat = 0.0
    throttled: bool = False  # ended early for want of capacity
    throttle: str | None = None  # how far that reaches, where known


class Verification(Model):
    """What an independent consistent read found. `behind`: rows in scope that are not at the target."""

    scanned: NonNegativeInt
    behind: NonNegativeInt


class Change(Model):
    """One attribute before and after, as JSON of its value, shortened; None: missing."""

    name: str
    before: str | None
    after: str | None


class Pair(Model):
    """A record that a dry run would change. `delete`: it would be gone; then the changes show what it holds."""

    key: Key
    changes: list[Change]
    delete: bool = False


class DryRun(Model):
    """What would become of a sample. Nothing was written. `failures`: by error class, with one message each."""

    tally: Tally
    pairs: list[Pair] = []
    failures: dict[str, int] = {}
    messages: dict[str, str] = {}


class DryRunInput(Model):
    target: Target
    source: Source
    limit: PositiveInt
    pairs: NonNegativeInt = 10
    seconds: float = 20.0  # then it tells what it has seen
    heartbeat_timeout: float = 10.0
