"""What is decided of a job before its destination is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reindexer.ledger import Ledger
from reindexer.models import Attributes, PlanInput, Source, Verb
from reindexer.planning.aim import Aim
from reindexer.planning.facts import Described
from reindexer.planning.probes import Writer
from reindexer.planning.reach import Reach


@dataclass(frozen=True)
class Draft:
    """`described`: the table; `writer`: how it is written; `aim.version` 0: the destination chooses one."""

    request: PlanInput
    verb: Verb
    writes: bool  # wherever that is; False of a dry run
    described: Described
    sources: Sequence[Source]
    reach: Reach
    attributes: Attributes
    writer: Writer
    aim: Aim
    ledger: Ledger
