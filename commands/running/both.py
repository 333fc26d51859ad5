"""Both items of a key, and how they differ, without a job."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.text import Text

from commands.input.exits import Exit
from commands.input.files import json_option
from commands.input.json_only import emit_json
from commands.rendering.screen import BAD, DIM, GOOD, Cell, columns, say
from reindexer.compare.describing import described, value_text
from reindexer.compare.rows import Rules
from reindexer.dynamo.client import make_client
from reindexer.dynamo.other_table import other_client
from reindexer.dynamo.reading import read_consistently
from reindexer.dynamo.table import TableClient
from reindexer.errors import BadInput
from reindexer.items import Key, WireItem, from_json_key, key_identity, key_text
from reindexer.models import Difference, JobInput, KeyAttribute
from reindexer.planning.compare import plan_second
from reindexer.planning.facts import describe
from reindexer.planning.scopes import typed_key


@dataclass(frozen=True)
class _Both:
    """A key in both tables; None: not there."""

    key: Key
    table: WireItem | None
    other: WireItem | None
    rules: Rules

    @property
    def kind(self) -> str:
        """How it differs, or `equal`; where it is in neither table, `absent`."""
        if self.table is None or self.other is None:
            pair = (self.table is None, self.other is None)
            kinds = {(True, True): "absent", (False, True): Difference.MISSING.value}
            return kinds.get(pair, Difference.EXTRANEOUS.value)
        return "equal" if self.rules.equal(self.table, self.other) else Difference.DIFFERENT.value

    @property
    def agrees(self) -> bool:
        return self.kind in ("equal", "absent")


def show_both(job: JobInput, keys: Sequence[str], *, as_json: bool) -> Exit:
    """Read each key from both tables, consistently, and show what differs. Raises `BadInput`.

    What differs is not confirmed by a second reading: a copy that lags behind looks different.
    """
    table = describe(job.table, make_client())
    second = plan_second(job, job.operation, table, other_client)
    assert second is not None, "compared with what?"
    typed = [_typed(text, table.key) for text in keys]
    rules = Rules(second.table.left_out, second.table.expiries)
    items = [_read(reached, typed, rules) for reached in (table.table, second.described.table)]
    found = [_Both(key, items[0].get(name), items[1].get(name), rules) for key, name in _named(typed)]
    if as_json:
        emit_json({"keys": [_as_json(both) for both in found]})
    else:
        for both in found:
            style = GOOD if both.agrees else BAD
            head = Text.assemble((both.kind, f"bold {style}"), f"  {key_text(both.key)}")
            if both.kind == "absent":
                say(Group(head, Text("in neither table: is the key right?", DIM), Text()))
                continue
            say(Group(head, columns(_rows(both), ("attribute", job.table, second.table.table)), Text()))
    if not all(both.agrees for both in found):
        return Exit.INCOMPLETE
    return Exit.NOT_FINISHED if any(both.kind == "absent" for both in found) else Exit.COMPLETE


def _typed(text: str, schema: Sequence[KeyAttribute]) -> Key:
    asked = json_option(text, "--key")
    if not isinstance(asked, dict):
        raise BadInput(f'should be an object such as {{"id": "a"}} (given: {text})', "--key")
    return typed_key(asked, schema, "--key")


def _named(keys: Sequence[Key]) -> Iterator[tuple[Key, tuple[object, ...]]]:
    for key in keys:
        yield key, key_identity(from_json_key(key))


def _read(table: TableClient, keys: Sequence[Key], rules: Rules) -> Mapping[tuple[object, ...], WireItem]:
    found, _ = read_consistently(table, [from_json_key(key) for key in keys], None)
    present = rules.present(time.time())
    return {name: item for name, item in found.items() if present(item)}


def _rows(both: _Both) -> Iterator[tuple[Cell, ...]]:
    """What differs first, in colour; then what both have alike."""
    one, other = (both.rules.content(item or {}) for item in (both.table, both.other))
    differing, more = described(one, other)
    for attribute in differing:
        here = Text("missing", DIM) if attribute.table is None else Text(attribute.table, GOOD)
        there = Text("missing", DIM) if attribute.other is None else Text(attribute.other, BAD)
        yield Text(attribute.path, "bold"), here, there
    if more:
        yield f"and {more:,} more", "", ""
    for name in sorted(one.keys() & other.keys()):
        if not described({name: one[name]}, {name: other[name]})[0]:
            yield Text(name, DIM), Text(value_text(one[name]), DIM), Text("the same", DIM)


def _as_json(both: _Both) -> dict[str, Any]:
    one, other = (both.rules.content(item or {}) for item in (both.table, both.other))
    attributes, more = described(one, other)
    return {
        "key": both.key,
        "kind": both.kind,
        "attributes": [attribute.model_dump() for attribute in attributes],
        "more": more,
        "in_table": both.table is not None,
        "in_other": both.other is not None,
    }
