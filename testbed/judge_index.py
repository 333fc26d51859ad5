"""An independent judge of a table and a search index made of it: boto3, plain HTTP, and no line of ours.

It reads both whole, into memory, and is for tables and indexes that hold still. A document is found by the key
attributes in it, whatever its id is.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

_PAGE = 1000  # documents of one page of a scroll
_KEPT = "5m"  # how long OpenSearch keeps a scroll between two pages
_PATIENCE = 60.0  # seconds for one page; it takes a fraction of one
_OURS = frozenset(("_order", "_gone"))  # beside the document
#: An item in DynamoDB JSON, by attribute.
Item = Mapping[str, Mapping[str, Any]]


class Difference(NamedTuple):
    """How one key differs: missing (in the index), extraneous (there alone, or there twice), or different."""

    kind: str
    key: dict[str, Any] | None  # as boto3 has it; None of an extraneous document
    id: str | None  # of the document; None of a missing one


def differences(
    client: Any,
    table: str,
    url: str,
    index: str,
    *,
    left_out: Collection[str] = (),
    as_text: Collection[str] = (),
    wanted: Callable[[Item], bool] = lambda _: True,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Difference]:
    """Each key of the table, and each visible document of the index, whose other half is not its equal.

    `left_out`: attributes that documents do not have. `as_text`: fields (`a`, in maps `a.b`) whose numbers are
    strings. `wanted`: which items have a document. `headers` of requests, such as `authorization`. A document
    with `_gone` is absent. Raises `RuntimeError` if the index cannot be read completely.
    """
    described = client.describe_table(TableName=table)["Table"]
    types = {part["AttributeName"]: part["AttributeType"] for part in described["AttributeDefinitions"]}
    names = [part["AttributeName"] for part in described["KeySchema"]]
    unmatched: dict[Any, list[tuple[str, dict[str, Any]]]] = {}
    for name, source in _documents(url, index, dict(headers or {})):
        unmatched.setdefault(_key_of_document(source, {name: types[name] for name in names}), []).append(
            (name, source)
        )
    for item in filter(wanted, _items(client, table)):
        key = {name: item[name] for name in names}
        documents = unmatched.get(tuple(_comparable(item[name]) for name in names))
        if not documents:
            yield Difference("missing", key, None)
            continue
        name, source = documents.pop(0)
        expected = {attribute: value for attribute, value in item.items() if attribute not in left_out}
        if not _equal({"M": expected}, source, "", as_text):
            yield Difference("different", key, name)
    yield from (Difference("extraneous", None, name) for left in unmatched.values() for name, _ in left)


def _items(client: Any, table: str) -> Iterator[Item]:
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def _documents(url: str, index: str, headers: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, source without what is beside the document) of each visible document."""

    def ask(path: str, body: Mapping[str, Any]) -> Any:
        said = {"content-type": "application/json", **headers}
        request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), said, method="POST")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says
        with direct.open(request, timeout=_PATIENCE) as answer:
            # Every number as it is written: a double would round what is compared.
            return json.loads(answer.read(), parse_int=Decimal, parse_float=Decimal)

    ask(f"/{index}/_refresh", {})
    asked = {"size": _PAGE, "sort": ["_doc"], "track_total_hits": True}
    page, seen = ask(f"/{index}/_search?scroll={_KEPT}", asked), 0
    while True:
        if page["_shards"]["failed"] or page["timed_out"]:
            raise RuntimeError(f"{index} could not be read completely: {page['_shards']}")
        hits = page["hits"]["hits"]
        if not hits:
            break
        seen += len(hits)
        for hit in hits:
            if hit["_source"].get("_gone") is None:
                yield hit["_id"], {name: value for name, value in hit["_source"].items() if name not in _OURS}
        page = ask("/_search/scroll", {"scroll": _KEPT, "scroll_id": page["_scroll_id"]})
    if seen != page["hits"]["total"]["value"]:
        raise RuntimeError(f"{index} handed out {seen} of {page['hits']['total']['value']} documents")


def _key_of_document(source: Mapping[str, Any], types: Mapping[str, str]) -> Any:
    """The key by value; None, which matches no item, of a document without it."""
    values = [source.get(name) for name in types]
    if not all(isinstance(value, str | Decimal) for value in values):
        return None
    kinds = types.values()
    return tuple(_parsed(value) if kind == "N" else value for value, kind in zip(values, kinds, strict=True))


def _comparable(value: Mapping[str, Any]) -> Any:
    """A key attribute as a document has it."""
    [(kind, content)] = value.items()
    return Decimal(content) if kind == "N" else base64.b64encode(content).decode() if kind == "B" else content


def _equal(value: Mapping[str, Any], given: Any, field: str, as_text: Collection[str]) -> bool:
    """Whether JSON says what a value of DynamoDB says. `field`: its path, for `as_text`."""
    [(kind, content)] = value.items()
    match kind:
        case "M":
            return (
                isinstance(given, dict)
                and given.keys() == content.keys()
                and all(
                    _equal(inner, given[name], f"{field}.{name}" if field else name, as_text)
                    for name, inner in content.items()
                )
            )
        case "L":
            return (
                isinstance(given, list)
                and len(given) == len(content)
                and all(
                    _equal(inner, other, field, as_text) for inner, other in zip(content, given, strict=True)
                )
            )
        case "SS" | "NS" | "BS":
            return isinstance(given, list) and _same_set(kind[0], content, given, field, as_text)
        case "N":
            return _same_number(Decimal(content), given, field in as_text)
        case "B":
            return isinstance(given, str) and given == base64.b64encode(content).decode()
        case "BOOL":
            return isinstance(given, bool) and given is content
        case "NULL":
            return given is None
        case _:
            return isinstance(given, str) and given == content


def _same_set(
    kind: str, content: Collection[Any], given: list[Any], field: str, as_text: Collection[str]
) -> bool:
    """In any order, each once."""
    return len(content) == len(given) and all(
        any(_equal({kind: member}, other, field, as_text) for other in given) for member in content
    )


def _same_number(number: Decimal, given: Any, as_text: bool) -> bool:
    """By value, to the last digit; as a string just where the field says so."""
    return isinstance(given, str if as_text else Decimal) and _parsed(given) == number


def _parsed(number: Any) -> Decimal | None:
    try:
        return Decimal(number)
    except ArithmeticError:
        return None
