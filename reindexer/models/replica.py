"""A replica as a destination: what its activities are asked."""

from __future__ import annotations

import operator

from pydantic import Field

from reindexer.models.model import Model
from reindexer.models.second_table import OtherTable
from reindexer.models.streams import Lineages


class ReplicaInput(Model):
    """Which replica, and whose epoch."""

    destination: str
    epoch: int
    run: str
    source: str = Field(default="", exclude_if=operator.not_)  # the table's ARN
    again_by: str = Field(default="", exclude_if=operator.not_)  # the follow that scans again
    #: The replica, where it gets a time to live for its tombstones unless it has one.
    expires: OtherTable | None = Field(default=None, exclude_if=operator.not_)
    positions: list[Lineages] = Field(default=[], exclude_if=operator.not_)  # as in `Plan`
