"""Large values in one payload: compressed, where they are not short enough for a person to read."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from pydantic_core import from_json, to_jsonable_python

#: Bytes of JSON up to which a value stays plain: people read it in the Web UI.
_READABLE = 8192


def packed(value: Any) -> Any:
    """As JSON, or compressed and in base64: a fifth to a tenth of it, unless it is random."""
    plain = to_jsonable_python(value)
    text = json.dumps(plain, separators=(",", ":")).encode()
    return plain if len(text) <= _READABLE else base64.b64encode(zlib.compress(text)).decode()


def unpacked(given: Any) -> Any:
    """What `packed` was given, as JSON."""
    return from_json(zlib.decompress(base64.b64decode(given))) if isinstance(given, str) else given
