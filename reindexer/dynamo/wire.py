"""Building requests: projections, touch statements, conditions. Names are always quoted or aliased."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from reindexer.items import WireItem, WireKey, Write


def projection(names: Iterable[str]) -> dict[str, Any]:
    """`ProjectionExpression` and its names; aliases make reserved words and odd names harmless."""
    aliases = {f"#p{index}": name for index, name in enumerate(dict.fromkeys(names))}
    return {"ProjectionExpression": ",".join(aliases), "ExpressionAttributeNames": aliases}


def quoted(name: str) -> str:
    """A PartiQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class Stamp:
    """The two attributes that every write of a run carries: version and run stamp."""

    def __init__(self, version_attribute: str, run_attribute: str, version: int, run: str) -> None:
        self.version_attribute = version_attribute
        self.run_attribute = run_attribute
        self.version = version
        self.run = run
        self.version_value = {"N": str(version)}
        self.run_value = {"S": run}

    def is_ours(self, item: WireItem) -> bool:
        """Whether the item carries this run's stamp, so that this run wrote it."""
        return self.stored_version(item) == self.version and item.get(self.run_attribute) == self.run_value

    def stored_version(self, item: WireItem) -> int | Decimal | None:
        """The item's version, None where it has none. Raises `TypeError` if it is not a number."""
        value = item.get(self.version_attribute)
        if value is None:
            return None
        text = value.get("N")
        if text is None:
            raise TypeError(f"{self.version_attribute} is of type {next(iter(value))}, not N")
        return int(text) if text.isdigit() else Decimal(text)


class StatementBuilder:
    """PartiQL for conditional writes of one table under one stamp.

    The condition is `… AND NOT version >= target`: true for a missing version, free of OR, which is not
    confirmed for UPDATE on AWS. UPDATE never creates an item.
    """

    def __init__(self, table: str, key_names: tuple[str, ...], stamp: Stamp) -> None:
        self._table, self._key_names, self._stamp = quoted(table), key_names, stamp
        self._where = " AND ".join(f"{quoted(name)}=?" for name in key_names)
        self._touch = self._text(Write())[0]

    def statement(self, key: WireKey, write: Write) -> dict[str, Any]:
        """One entry of `Statements`."""
        stamp = self._stamp
        if not write.sets and not write.removes and not write.guards:
            parameters = [stamp.version_value, stamp.run_value]
            parameters += [key[name] for name in self._key_names]
            text = self._touch
        else:
            text, sets, guards = self._text(write)
            parameters = [stamp.version_value, stamp.run_value, *sets]
            parameters += [key[name] for name in self._key_names]
            parameters += guards
        parameters.append(stamp.version_value)
        return {
            "Statement": text,
            "Parameters": parameters,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _text(self, write: Write) -> tuple[str, list[Any], list[Any]]:
        stamp = self._stamp
        assigned = [stamp.version_attribute, stamp.run_attribute, *write.sets]
        text = f"UPDATE {self._table} SET " + ", ".join(f"{quoted(name)}=?" for name in assigned)
        if write.removes:
            text += " REMOVE " + ", ".join(quoted(name) for name in write.removes)
        text += f" WHERE {self._where}"
        guards = []
        for name, value in write.guards.items():
            if value is None:
                text += f" AND {quoted(name)} IS MISSING"
            else:
                text += f" AND {quoted(name)}=?"
                guards.append(value)
        text += f" AND NOT {quoted(stamp.version_attribute)} >= ?"
        return text, list(write.sets.values()), guards


def update_parameters(key: WireKey, write: Write, stamp: Stamp, key_names: tuple[str, ...]) -> dict[str, Any]:
    """The same write for UpdateItem, which creates missing items unless told that they must exist."""
    names = {"#v": stamp.version_attribute, "#r": stamp.run_attribute, "#k": key_names[0]}
    values: dict[str, Any] = {":v": stamp.version_value, ":r": stamp.run_value}
    sets = ["#v=:v", "#r=:r"]
    conditions = ["attribute_exists(#k)", "NOT #v >= :v"]
    for index, (name, value) in enumerate(write.sets.items()):
        names[f"#s{index}"], values[f":s{index}"] = name, value
        sets.append(f"#s{index}=:s{index}")
    removes = []
    for index, name in enumerate(write.removes):
        names[f"#d{index}"] = name
        removes.append(f"#d{index}")
    for index, (name, guard) in enumerate(write.guards.items()):
        names[f"#g{index}"] = name
        if guard is None:
            conditions.append(f"attribute_not_exists(#g{index})")
        else:
            values[f":g{index}"] = guard
            conditions.append(f"#g{index}=:g{index}")
    expression = "SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else "")
    return {
        "Key": key,
        "UpdateExpression": expression,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def delete_ours(key: WireKey, stamp: Stamp) -> Mapping[str, Any]:
    """The second write of a deletion: only where the stamp is this run's."""
    return {
        "Key": key,
        "ConditionExpression": "#v = :v AND #r = :r",
        "ExpressionAttributeNames": {"#v": stamp.version_attribute, "#r": stamp.run_attribute},
        "ExpressionAttributeValues": {":v": stamp.version_value, ":r": stamp.run_value},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
