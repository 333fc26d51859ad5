"""Building requests: projections, touch statements, conditions. Names are always quoted or aliased."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from reindexer.items import WireItem, WireKey, Write

_QUOTE = "'"
_MAX_SHAPES = 1000  # statements remembered by shape; a job has more only if it writes other names each time


def projection(names: Iterable[str]) -> dict[str, Any]:
    """`ProjectionExpression` and its names; aliases make reserved words and odd names harmless."""
    aliases = {f"#p{index}": name for index, name in enumerate(dict.fromkeys(names))}
    return {"ProjectionExpression": ",".join(aliases), "ExpressionAttributeNames": aliases}


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Parts of one read's parameters, their names and values put together."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, given in part.items():
            whole[name] = {**whole.get(name, {}), **given} if isinstance(given, Mapping) else given
    return whole


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
        #: Instead of it on an item that this run is about to delete. No run is called so: ids hold no slash.
        self.mark_value = {"S": f"{run}/delete"}

    def is_marked(self, item: WireItem) -> bool:
        """Whether this run has marked the item for deletion."""
        return (
            item.get(self.run_attribute) == self.mark_value
            and item.get(self.version_attribute, {}).get("N") == self.version_value["N"]
        )

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
    confirmed for UPDATE on AWS. A bare write has its guards alone. UPDATE never creates an item, and INSERT
    never changes one.
    """

    def __init__(self, table: str, key_names: tuple[str, ...], stamp: Stamp) -> None:
        self._table, self._key_names, self._stamp = quoted(table), key_names, stamp
        self._where = " AND ".join(f"{quoted(name)}=?" for name in key_names)
        self._touch = self._text(Write())
        self._texts: dict[object, str] = {}

    def statement(self, key: WireKey, write: Write, stamp: Stamp | None = None) -> dict[str, Any]:
        """One entry of `Statements`. `stamp`: of the same attributes, where each write has one of its own."""
        stamp = stamp or self._stamp
        keys = [key[name] for name in self._key_names]
        if write.create:
            return {"Statement": self._shaped(write), "Parameters": [*keys, *write.sets.values()]}
        if not write.sets and not write.removes and not write.guards and not write.delete:
            run = stamp.mark_value if write.mark else stamp.run_value
            parameters = [stamp.version_value, run, *keys, stamp.version_value]
            text = self._touch
        else:
            guards = [value for value in write.guards.values() if value is not None]
            text = self._shaped(write)
            if write.delete and not write.bare:
                parameters = [*keys, *guards, stamp.version_value, stamp.mark_value]
            elif write.bare:
                parameters = [*write.sets.values(), *keys, *guards]
            else:
                run = stamp.mark_value if write.mark else stamp.run_value
                parameters = [
                    stamp.version_value, run, *write.sets.values(), *keys, *guards, stamp.version_value
                ]  # fmt: skip
        return {
            "Statement": text,
            "Parameters": parameters,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _shaped(self, write: Write) -> str:
        """The text, which depends on names alone; a job's records have a handful of shapes."""
        missing = tuple(name for name, value in write.guards.items() if value is None)
        shape = (
            tuple(write.sets),
            write.removes,
            tuple(write.guards),
            missing,
            write.delete,
            write.bare,
            write.create,
        )
        text = self._texts.get(shape)
        if text is None:
            if len(self._texts) >= _MAX_SHAPES:
                self._texts.clear()
            text = self._texts[shape] = self._text(write)
        return text

    def _text(self, write: Write) -> str:
        stamp = self._stamp
        if write.create:
            names = ", ".join(
                f"'{name.replace(_QUOTE, _QUOTE * 2)}': ?" for name in (*self._key_names, *write.sets)
            )
            return f"INSERT INTO {self._table} VALUE {{{names}}}"
        version, run = quoted(stamp.version_attribute), quoted(stamp.run_attribute)
        guards = "".join(
            f" AND {quoted(name)}{' IS MISSING' if value is None else '=?'}"
            for name, value in write.guards.items()
        )
        if write.delete:
            marked = "" if write.bare else f" AND {version}=? AND {run}=?"
            return f"DELETE FROM {self._table} WHERE {self._where}{guards}{marked}"
        assigned = [*([] if write.bare else [stamp.version_attribute, stamp.run_attribute]), *write.sets]
        text = f"UPDATE {self._table}"
        if assigned:
            text += " SET " + ", ".join(f"{quoted(name)}=?" for name in assigned)
        text += "".join(f" REMOVE {quoted(name)}" for name in write.removes)  # a list of names is not accepted
        if write.bare:
            return f"{text} WHERE {self._where}{guards}"
        return f"{text} WHERE {self._where}{guards} AND NOT {version} >= ?"


def longest_statement(
    table: str, key_names: Iterable[str], stamp_names: Iterable[str], write: Write
) -> tuple[int, int]:
    """Characters of a write as a PartiQL statement, and of the longer of UpdateItem's two expressions."""
    names = [*stamp_names, "v", "r"]  # any two where none are known: a job run in memory
    stamp, keys = Stamp(names[0], names[1], 0, ""), tuple(key_names) or ("k",)
    key: WireKey = {name: {"S": ""} for name in keys}
    single = update_parameters(key, write, stamp, keys)
    expressions = (single["UpdateExpression"], single["ConditionExpression"])
    statement = StatementBuilder(table, keys, stamp).statement(key, write)["Statement"]
    return len(statement), max(map(len, expressions))


def update_parameters(key: WireKey, write: Write, stamp: Stamp, key_names: tuple[str, ...]) -> dict[str, Any]:
    """The same write for UpdateItem, which creates missing items unless a condition forbids it."""
    names, values = {"#k": key_names[0]}, dict[str, Any]()
    sets, conditions = list[str](), ["attribute_exists(#k)"]
    if not write.bare:
        names |= {"#v": stamp.version_attribute, "#r": stamp.run_attribute}
        values |= {":v": stamp.version_value, ":r": stamp.mark_value if write.mark else stamp.run_value}
        sets, conditions = ["#v=:v", "#r=:r"], [*conditions, "NOT #v >= :v"]
    for index, (name, value) in enumerate(write.sets.items()):
        names[f"#s{index}"], values[f":s{index}"] = name, value
        sets.append(f"#s{index}=:s{index}")
    removes = []
    for index, name in enumerate(write.removes):
        names[f"#d{index}"] = name
        removes.append(f"#d{index}")
    conditions += _guards(write, names, values)
    clauses = {"SET": sets, "REMOVE": removes}
    return {
        "Key": key,
        "UpdateExpression": " ".join(f"{word} {', '.join(each)}" for word, each in clauses.items() if each),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _guards(write: Write, names: dict[str, str], values: dict[str, Any]) -> list[str]:
    """The guards as conditions; their names and values go into `names` and `values`."""
    conditions = []
    for index, (name, guard) in enumerate(write.guards.items()):
        names[f"#g{index}"] = name
        if guard is None:
            conditions.append(f"attribute_not_exists(#g{index})")
        else:
            values[f":g{index}"] = guard
            conditions.append(f"#g{index}=:g{index}")
    return conditions


def delete_parameters(key: WireKey, write: Write, stamp: Stamp) -> dict[str, Any]:
    """A deletion for DeleteItem: only what this run has marked, as it was marked; if bare, by its guards."""
    names, values = dict[str, str](), dict[str, Any]()
    conditions = _guards(write, names, values)
    if write.bare:  # of an item that is its key alone, this is the only condition
        names["#k"] = next(iter(key))
        conditions.append("attribute_exists(#k)")
    else:
        names |= {"#v": stamp.version_attribute, "#r": stamp.run_attribute}
        values |= {":v": stamp.version_value, ":r": stamp.mark_value}
        conditions += ["#v=:v", "#r=:r"]
    return {
        "Key": key,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        **({"ExpressionAttributeValues": values} if values else {}),  # an empty map is refused
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def put_parameters(key: WireKey, write: Write) -> dict[str, Any]:
    """The creation of an item for PutItem, which would replace one that exists."""
    return {
        "Item": {**key, **write.sets},
        "ConditionExpression": "attribute_not_exists(#k)",
        "ExpressionAttributeNames": {"#k": next(iter(key))},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
