"""Write down that a record was visited, in a file outside of the table, as a call to another service would."""

import os
from collections.abc import Mapping
from typing import Any

from reindexer import Params


def process(item: Mapping[str, Any], params: Params) -> None:  # noqa: ARG001 – a job's signature
    """One short line in one write: those of several processes do not run into each other."""
    with open(os.environ["EXACTNESS_VISITS"], "ab", buffering=0) as visits:
        visits.write(f"{item['name']}\n".encode())
