"""Tallies by partition key value, as they travel. A job over named partitions (tenants) has one for each."""

from __future__ import annotations

import base64
import json
import operator
import zlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from reindexer.tally import Outcome, Tally

#: Bytes of JSON up to which a packed field stays plain: about 100 partitions, which people still read in the
#: Web UI.
_READABLE = 8192
_MAX_LETTERS = 40  # of a value that is shown: a UUID (36), and a column of a table


def _plain(tallies: Mapping[str, Tally]) -> dict[str, dict[str, int]]:
    # Most partitions have two counts of eight: what is 0 is left out, but for `scanned`, which says so.
    return {
        name: {"scanned": tally.scanned, **{o.value: count for o, count in tally.outcomes.items()}}
        for name, tally in tallies.items()
    }


def pack(tallies: Mapping[str, Tally]) -> bytes:
    """Compressed: about a third of its JSON where the values are random, a tenth where they are counted up."""
    return zlib.compress(json.dumps(_plain(tallies), separators=(",", ":")).encode())


def unpack(packed: bytes) -> dict[str, Tally]:
    """What `pack` was given."""
    return {name: Tally(**counts) for name, counts in json.loads(zlib.decompress(packed)).items()}


def ranked(tallies: Mapping[str, Tally]) -> list[str]:
    """Their names in the order a person asks for: records given up first, then the most records."""
    return sorted(tallies, key=lambda name: (-tallies[name][Outcome.QUARANTINED], -tallies[name].scanned, name))


def brief(name: str) -> str:
    """A partition key value for people: on one line, cut where it is long."""
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return plain if len(plain) <= _MAX_LETTERS else plain[: _MAX_LETTERS - 1] + "…"


def _packed(tallies: Mapping[str, Tally]) -> str | dict[str, dict[str, int]]:
    plain = _plain(tallies)
    text = json.dumps(plain, separators=(",", ":"))
    return plain if len(text) <= _READABLE else base64.b64encode(zlib.compress(text.encode())).decode()


def _unpacked(given: Any) -> Any:
    return unpack(base64.b64decode(given)) if isinstance(given, str) else given


# Excluded where there are none: other jobs pay nothing for it, and workers of an earlier version read them.
_WHERE_ANY = Field(exclude_if=operator.not_)

#: By partition key value as text: `scanned`, and every outcome that is not 0.
ByPartition = Annotated[dict[str, Tally], PlainSerializer(_plain), _WHERE_ANY]
#: The same for what may hold all of a job's partitions beside other things: many are compressed.
PackedByPartition = Annotated[
    dict[str, Tally], BeforeValidator(_unpacked), PlainSerializer(_packed), _WHERE_ANY
]
