"""Records that were given up."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Literal

from pydantic import Field, NonNegativeInt

from reindexer.items import Key
from reindexer.models.job_input import Attributes
from reindexer.models.model import Model
from reindexer.models.plan import Target
from reindexer.models.rounds import Isolated


class QuarantineInput(Model):
    target: Target
    job: str
    run: str
    record: Isolated


class QuarantineEntry(Model):
    """A quarantined record in the ledger. `applied`: whether its write may have landed after all."""

    job: str
    run: str
    table_arn: str
    version: int
    stamp: str
    key: Key
    error: str
    message: str
    attempts: NonNegativeInt
    applied: Literal["no", "unknown"]
    at: datetime
    state: Literal["open", "redriven", "discarded"] = "open"
    reason: str | None = None  # why it was discarded, or which job redrove it
    attributes: Attributes | None = None  # of the run's target; a redrive must write the same two
    code: str | None = None  # of the job file whose function gave it up
    deleting: bool = False  # as in `Isolated`
    #: As in `Isolated`.
    order: int | None = Field(default=None, exclude_if=lambda value: value is None)
    marked: bool = False


class CloseInput(Model):
    """Failures of a run that a redrive has settled. Those it quarantined again itself stay open."""

    job: str
    run: str
    keys: list[Key]
    orders: list[int] = Field(default=[], exclude_if=operator.not_)  # as in `KeyList`
    by_job: str
    by_run: str


class GivenUpInput(Model):
    """The run of a follow whose failures are counted."""

    job: str
    run: str


class FailurePage(Model):
    """Quarantined records: counts by error class, and one page. `after`: where the next page begins."""

    counts: dict[str, int]
    entries: list[QuarantineEntry]
    after: str | None = None
