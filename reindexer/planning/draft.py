"""What is decided of a job before its destination is planned."""

from __future__ import annotations

from dataclasses import dataclass

from reindexer.ledger import Ledger
from reindexer.models import Attributes, PlanInput
from reindexer.planning.aim import Aim
from reindexer.planning.facts import Described
from reindexer.planning.reach import Reach


@dataclass(frozen=True)
class Draft:
    """`described`: the table. `aim.version` 0: the destination chooses the epoch."""

    request: PlanInput
    described: Described
    reach: Reach
    attributes: Attributes
    aim: Aim
    ledger: Ledger
