"""What is imported before anything is forked from it; see `tests.forked`."""

from __future__ import annotations

import gc

import starter
import worker
from tests import cli

__all__ = ["cli", "starter", "worker"]

# Else the collector of each fork looks through all of it, and so copies its memory.
gc.collect()
gc.freeze()
