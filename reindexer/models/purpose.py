"""What a version of a table was used for: two jobs that mean different things by it must not share it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from reindexer.models.model import Model

_SHOWN = 12  # digits of a hash for people; this many of SHA-256 tell two apart


class Purpose(Model):
    """What a version means in the records that carry it. Of a touch the kind alone."""

    kind: Literal["touch", "transform"]
    job: str | None = None
    code: str | None = None  # SHA-256 of the job file
    params: str | None = None  # SHA-256 of the parameters

    @property
    def words(self) -> str:
        """For people: as much of the hashes as tells two apart."""
        given = [("code", self.code), ("parameters", self.params)]
        hashes = [f", {name} {value[:_SHOWN]}" for name, value in given if value]
        return f"{self.kind}{f' {self.job}' if self.job else ''}{''.join(hashes)}"


class Used(Model):
    """Which run gave a version its purpose."""

    purpose: Purpose
    job: str
    run: str
    at: datetime

    @property
    def words(self) -> str:
        """For people."""
        return f"job {self.job} (run {self.run}, {self.at:%Y-%m-%d %H:%M:%S} UTC, {self.purpose.words})"
