"""Write the name in capitals, and count how often that was done: done twice, it shows."""

from collections.abc import Mapping
from typing import Any

from reindexer import Params, Update


def transform(item: Mapping[str, Any], params: Params) -> Update:  # noqa: ARG001 – a job's signature
    """Not idempotent on purpose, as no job should be."""
    return Update(set={"name": item["name"].upper(), "times": item.get("times", 0) + 1})
