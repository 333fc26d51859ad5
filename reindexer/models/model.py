"""What all types that travel have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

#: Largest integer every JSON reader keeps exactly (2^53 − 1), the Web UI's included.
MAX_VERSION = 9_007_199_254_740_991


class Model(BaseModel):
    """Base of all: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(Model):
    """Base of what people write: besides, types are strict and numbers finite.

    Else `"version": true` would be version 1, `"verify": "no"` a false, and `1e400` a limit that never holds.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
