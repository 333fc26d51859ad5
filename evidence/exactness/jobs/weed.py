"""Delete what is to go, and leave the rest as it is."""

from collections.abc import Mapping
from typing import Any

from reindexer import Delete, Params, Skip


def transform(item: Mapping[str, Any], params: Params) -> Delete | Skip:  # noqa: ARG001 – a job's signature
    """The decision hangs on one attribute, which guards both writes of the deletion."""
    return Delete() if item["goes"] else Skip("stays")
