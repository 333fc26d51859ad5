"""What a job's function says is to become of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from reindexer.items import Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change the record: `set` gives top-level attributes new values, `remove` names some to take away.

    Only what differs from the record is written; where nothing does, nothing is, and it counts as `filtered`.
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    remove: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the record away."""


Change: TypeAlias = Update | Delete | Skip
