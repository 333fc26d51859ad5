"""Items and keys on the wire, and what can become of an item.

Inside the engine an item stays as DynamoDB sends it (`{"name": {"S": "Ulm"}}`, binary as bytes): decoding every
attribute of every row into Python values costs more than writing it. Between processes a key travels as
DynamoDB JSON with binary in base64, since heartbeat details are JSON.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, TypeAlias

from typing_extensions import TypeVar

from reindexer.tally import Outcome

#: One attribute value on the wire: {"S": "a"}, {"N": "1"}, {"B": b"…"}, {"M": {…}} …
WireValue: TypeAlias = dict[str, Any]
#: A whole item, or the part that was asked for.
WireItem: TypeAlias = dict[str, WireValue]
#: The key attributes of an item on the wire.
WireKey: TypeAlias = dict[str, WireValue]
#: A key between processes: binary as base64 text.
Key: TypeAlias = dict[str, dict[str, str]]
#: Where a source goes on: JSON that only the source itself reads. What carries a cursor never looks into it.
Cursor: TypeAlias = dict[str, Any]

#: How the names begin that AWS keeps for itself, in items of a global table of version 2017.11.29.
RESERVED = "aws:rep:"

#: Attributes that a copy has and its source has not: the order of its last write, a digest of its names, and
#: the mark of a deletion that is kept until nothing older can arrive. A row with the mark counts as deleted.
ORDER, NAMES, GONE = OF_COPIES = "reindexOrder", "reindexNames", "reindexGone"


def to_json_key(key: WireKey) -> Key:
    """The key as it travels between processes."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else dict(value)
        for name, value in key.items()
    }


def from_json_key(key: Mapping[str, Mapping[str, str]]) -> WireKey:
    """The key as boto3 wants it."""
    return {
        name: {"B": base64.b64decode(value["B"])} if "B" in value else dict(value)
        for name, value in key.items()
    }


#: DynamoDB's numbers have up to 38 digits; Python's own context would round them to 28 and make two keys one.
_EXACT = Context(prec=50)
#: A plain notation longer than that is no help to a reader.
_MAX_PLAIN = 38


def key_identity(key: WireKey) -> tuple[Any, ...]:
    """Equal for two keys exactly when DynamoDB takes them for one: 1, 1.0 and 1E0 are the same number."""
    return tuple(
        (name, kind, Decimal(content).normalize(_EXACT) if kind == "N" else content)
        for name, value in sorted(key.items())
        for kind, content in value.items()
    )


def key_text(key: Key) -> str:
    """A key for people and for the ledger: compact JSON with sorted names."""
    return json.dumps(key, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def wire_value(kind: str, text: str) -> WireValue:
    """The value that a text means, as boto3 wants it."""
    return {kind: base64.b64decode(text) if kind == "B" else text}


def text_of(value: WireValue) -> str:
    """The value as text, one text for each value: 1, 1.0 and 1E0 are "1", binary is base64."""
    for kind, content in value.items():
        if kind == "N":
            return number_text(Decimal(content))
        return base64.b64encode(content).decode() if kind == "B" else str(content)
    raise ValueError("a key value without a type")


def number_text(number: Decimal) -> str:
    """One text for each number, in plain notation where that is not overlong."""
    exact = number.normalize(_EXACT)
    if not exact:
        return "0"  # -0 too
    return format(exact, "f") if abs(exact.adjusted()) < _MAX_PLAIN else str(exact)


#: Characters up to which a text's JSON is not measured: none takes more than six bytes a character.
_SHORT = 100


def text_bytes(text: str) -> int:
    """Bytes of the text as JSON, quotes included; for short ones an upper bound, which costs nothing."""
    if len(text) <= _SHORT:
        return 6 * len(text) + 2
    return len(json.dumps(text, ensure_ascii=False).encode())


def key_bytes(key: WireKey) -> int:
    """Bytes of the key as JSON with binary in base64, or a little more."""
    size = 2 * len(key)  # braces, commas
    for name, value in key.items():
        for content in value.values():
            size += text_bytes(name) + 8  # {"S":}, and a colon
            size += len(content) * 4 // 3 + 6 if isinstance(content, bytes) else text_bytes(content)
    return size


@dataclass(slots=True)
class Write:
    """One conditional write of one item. Besides what it names it carries version and run stamp.

    `guards` are attributes that must still hold these values when the write lands; None: still be missing.
    A deletion is two writes: `mark` stamps the item as one to be deleted, `delete` deletes what is so marked.
    `bare`: it carries no stamp, and its guards are its only condition. `create`: bare, of an item that must not
    exist yet; `sets` are all its attributes but the key. `revives`: of an item that counted as not there.
    `rest`: what follows it, where one write cannot name all attributes.
    """

    sets: Mapping[str, WireValue] = field(default_factory=dict)
    removes: tuple[str, ...] = ()
    guards: Mapping[str, WireValue | None] = field(default_factory=dict)
    delete: bool = False
    mark: bool = False
    bare: bool = False
    create: bool = False
    revives: bool = False
    rest: Write | None = None


def written(item: WireItem, write: Write) -> WireItem:
    """The item as the write leaves it, without the stamp."""
    return {name: value for name, value in item.items() if name not in write.removes} | dict(write.sets)


@dataclass(slots=True, frozen=True)
class Put:
    """A whole value at its place in an order: it lands only where nothing of that order or above is stored.

    `body` is what a destination takes, without the order: a document's text, or attributes; None: the record is
    gone there. `replaces`: something older is known to be in its place. `again`: it replaces what is stored at
    that very order, too. `old`: the names of its attributes before a change, where the stream has them;
    empty: there was no such record. `paged`: the body came with a page of a stream, which has 1 MB at the most.
    """

    order: int
    body: bytes | WireItem | None
    outcome: Outcome  # what the record has come to once it is there
    replaces: bool = False
    again: bool = False
    old: tuple[str, ...] | None = None
    paged: bool = False


#: What a destination is sent: changes of an item by default.
Change = TypeVar("Change", default=Write)


def second_write(mark: Write, own: Iterable[str]) -> Write:
    """The deletion that follows a mark, refused if anything changed that the mark was guarded by.

    `own` are version and run attribute, which the mark itself has changed.
    """
    guards = {name: mark.sets.get(name, value) for name, value in mark.guards.items() if name not in own}
    return Write(guards=guards, delete=True)


@dataclass(slots=True, frozen=True)
class Skip:
    """Leave the item alone; it counts as `filtered`."""

    reason: str = ""


#: Past its time to live when the job began.
EXPIRED = Skip("expired")
