"""The attributes that are keys of the table's indexes."""

from __future__ import annotations

from reindexer.models import IndexKey
from reindexer.planning.facts import Described


def index_types(described: Described) -> dict[str, str]:
    """The attributes that are keys of an index, with their types."""
    types = {a["AttributeName"]: a["AttributeType"] for a in described.description["AttributeDefinitions"]}
    own = {attribute.name for attribute in described.key}
    names = {name for names in described.index_keys.values() for name in names} - own
    return {name: types[name] for name in sorted(names) if name in types}


def keys_of_indexes(described: Described) -> list[IndexKey]:
    """Each key attribute of each index that is not the table's own."""
    types, description = index_types(described), described.description
    return [
        IndexKey(
            index=index["IndexName"],
            name=key["AttributeName"],
            type=types[key["AttributeName"]],
            partition=key["KeyType"] == "HASH",
        )
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for index in description.get(kind) or []
        for key in index["KeySchema"]
        if key["AttributeName"] in types
    ]
