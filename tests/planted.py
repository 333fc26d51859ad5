"""Two tables with planted differences, for tests on the real servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evidence.exactness.two_tables import every_difference
from evidence.judge import differences
from reindexer.items import key_text, to_json_key
from reindexer.ledger import Ledger
from tests.tables import Table, made_up_key

Make = Callable[..., Table]
ROWS = 600
LEFT_OUT = ("reindexVersion", "reindexRun", "reindexOrder", "reindexNames")


def content(number: int, **more: Any) -> dict[str, Any]:
    return {
        "size": {"N": f"{number}.50"},
        "tags": {"SS": ["a", "b"]},
        "more": {"M": {"a.b": {"L": [{"B": b"\x00" + bytes([number % 256])}]}}},
        **more,
    }


def alike(number: int) -> dict[str, Any]:
    """The same values, written in another way."""
    return {
        **content(number),
        "size": {"N": f"{number}.5"},
        "tags": {"SS": ["b", "a"]},
        "reindexVersion": {"N": "7"},
        "reindexOrder": {"N": "1"},
    }


class Planted:
    """Two tables, and the kind of each key that differs, by its text."""

    def __init__(self, make_table: Make, rows: int = ROWS, **schema: Any) -> None:
        self.table, self.other = make_table(**schema), make_table(**schema)
        self.kinds: dict[str, str] = {}
        first: list[Any] = []
        second: list[Any] = []
        for number in range(rows):
            key = made_up_key(self.table.key, number)
            one, two = {**key, **content(number)}, {**key, **alike(number)}
            kind = {3: "different", 5: "missing", 7: "extraneous"}.get(number % 50)
            if kind == "different":
                two["more"] = {"M": {"a.b": {"L": [{"B": b"\x01" + bytes([number % 256])}]}}}
            if kind != "extraneous":
                first.append(one)
            if kind != "missing":
                second.append(two)
            if kind:
                self.kinds[_text(key)] = kind
        self.table.put(*first)
        self.other.put(*second)
        self.sizes = len(first), len(second)

    def job(self, **more: Any) -> dict[str, Any]:
        operation = {"kind": "compare", "with": {"table": self.other.name}}
        return {"table": self.table.name, "operation": operation, "total_segments": 3, **more}

    def judged(self) -> dict[str, str]:
        """The kind of each key that differs, by a judge that shares no code with what it judges."""
        tables = (self.table.name, self.other.name)
        return {_text(key): kind for key, kind in differences(self.table.client, *tables, LEFT_OUT)}

    def assert_found(self, report: dict[str, Any], ledger: Ledger) -> None:
        """Each planted difference and no other, balanced, and each in the ledger once."""
        counts = report["comparison"]["counts"]
        assert report["balanced"]
        assert (counts["scanned"], counts["other_scanned"]) == self.sizes
        kinds = list(self.kinds.values())
        for kind in ("different", "missing", "extraneous"):
            assert counts[kind] == kinds.count(kind)
        assert counts["equal"] == self.sizes[0] - kinds.count("different") - kinds.count("missing")
        assert (counts["moving"], counts["other_moving"]) == (0, 0)
        every = [(key_text(found.key), found.kind.value) for found in every_difference(ledger, report)]
        assert len(every) == len(kinds)
        assert dict(every) == self.kinds
        assert self.judged() == ({} if report["tally"]["scanned"] else self.kinds)  # repaired, or only compared
        assert 0 < len(report["comparison"]["sample"]) <= 20


def has_compared(scanned: int, seen: dict[str, Any]) -> bool:
    return bool(seen.get("comparison", {}).get("scanned", 0) >= scanned)


def _text(key: Any) -> str:
    return key_text(to_json_key(key))


#: Some ten seconds for 600 rows, of which each costs a unit where it is read by its key.
SLOW = {"read_units_per_second": 40, "other_read_units_per_second": 40}
FAST = {"read_units_per_second": "unlimited", "other_read_units_per_second": "unlimited"}
