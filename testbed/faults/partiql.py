"""Reading a PartiQL write statement just far enough to find its table, its key and what it assigns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

#: Where a statement takes a value from: the number of its question mark, or a literal in wire format.
Source: TypeAlias = "int | dict[str, Any]"

_TOKEN = re.compile(
    r"""\s*(?: "(?P<quoted>(?:[^"]|"")*)" | '(?P<text>(?:[^']|'')*)'
        | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?) | (?P<word>[A-Za-z_]\w*)
        | (?P<mark><<|>>|<=|>=|<>|!=|\S) )""",
    re.VERBOSE,
)
_CLAUSES = frozenset({"SET", "REMOVE", "WHERE", "RETURNING", "VALUE"})
#: After `name = value` in a WHERE clause these leave the value as it is; `id = ? + 1` is not an equality.
_ENDS_VALUE = frozenset({"AND", ")", "RETURNING", ""})


class Shape(NamedTuple):
    """A statement as far as it matters here. It depends on the text alone, so one serves all parameters."""

    verb: str  # UPDATE, DELETE, INSERT or SELECT
    table: str  # as written, a name or an ARN
    equals: Mapping[str, Source]  # `attribute = value`, ANDed in the WHERE clause
    assigned: Mapping[str, Source]  # `attribute = value` after SET, or the fields of an INSERT


class _Token(NamedTuple):
    kind: str  # name, word, value or mark
    text: str  # what is compared: words in upper case, marks as they are, names without their quotes
    spelt: str  # the identifier, if it is a name or a word
    source: Source | None = None


_END = _Token("mark", "", "")


@lru_cache(maxsize=4096)  # a job has a few texts; with literals as many as rows, which must not pile up
def statement_shape(text: str) -> Shape | None:
    """The shape of a statement; None where it is none of UPDATE, DELETE, INSERT and SELECT.

    Not read: comments, equalities under an OR within parentheses are taken for equalities (a write must name
    its full key beside them anyway, or the engine refuses it).
    """
    tokens = [*_tokens(text), _END, _END, _END]
    verb = tokens[0].text
    start = {"UPDATE": 1, "DELETE": 2, "INSERT": 2}.get(verb)  # DELETE FROM table, INSERT INTO table
    if verb == "SELECT":
        start = next((i + 1 for i, token in enumerate(tokens) if token.text == "FROM"), None)
    if start is None or tokens[start].kind not in ("name", "word"):
        return None
    assigned = _fields(tokens) if verb == "INSERT" else _equalities(tokens, "SET")
    return Shape(verb, tokens[start].spelt, _equalities(tokens, "WHERE"), assigned)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    marks = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        body = match[kind] if kind else ""
        if kind == "quoted":
            name = body.replace('""', '"')
            tokens.append(_Token("name", '"', name))
        elif kind == "word":
            tokens.append(_Token("word", body.upper(), body))
        elif kind == "text":
            tokens.append(_Token("value", "'", "", {"S": body.replace("''", "'")}))
        elif kind == "number":
            tokens.append(_Token("value", "0", "", {"N": body}))
        elif body == "?":
            tokens.append(_Token("value", "?", "", marks))
            marks += 1
        else:
            tokens.append(_Token("mark", body, ""))
    return tokens


def _equalities(tokens: list[_Token], wanted: str) -> dict[str, Source]:
    """`name = value` and `value = name` in one clause; the outermost wins where a name comes twice."""
    found: dict[str, tuple[int, Source]] = {}
    clause, depth = "", 0
    for index, token in enumerate(tokens[:-2]):  # two of the three end marks: each window has three tokens
        if token.kind == "word" and token.text in _CLAUSES:
            clause = token.text
        depth += (token.text == "(") - (token.text == ")")
        if clause != wanted:
            continue
        pair = _equality(tokens, index, wanted)
        if pair is not None and depth < found.get(pair[0], (depth + 1, 0))[0]:
            found[pair[0]] = depth, pair[1]
    return {name: source for name, (_, source) in found.items()}


def _equality(tokens: list[_Token], index: int, clause: str) -> tuple[str, Source] | None:
    left, sign, right = tokens[index : index + 3]
    before = tokens[index - 1].text
    after = tokens[min(index + 3, len(tokens) - 1)].text
    if sign.text != "=" or before in (".", "NOT"):
        return None
    ends = _ENDS_VALUE if clause == "WHERE" else _CLAUSES | {",", ""}
    if left.spelt and right.source is not None and after in ends:
        return left.spelt, right.source
    if clause == "WHERE" and left.source is not None and right.spelt and after in ends:
        return right.spelt, left.source
    return None


def _fields(tokens: list[_Token]) -> dict[str, Source]:
    """The scalar fields of `INSERT … VALUE {'name': value, …}`, outermost braces only."""
    found: dict[str, Source] = {}
    depth = 0
    for index, token in enumerate(tokens[:-2]):  # as above
        depth += (token.text == "{") - (token.text == "}")
        value = tokens[index + 2].source
        if depth == 1 and tokens[index + 1].text == ":" and value is not None:
            quoted = isinstance(token.source, dict) and token.source.get("S")
            found[quoted or token.spelt] = value
    return found
