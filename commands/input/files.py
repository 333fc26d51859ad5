"""Files that users write: their bytes as text, their lines, and the JSON in them."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from reindexer.errors import BadInput

#: What JSON itself calls white space; U+2028, NEL or a form feed are content.
_SPACE = " \t\r\n"


class NotJson(ValueError):
    """A text that is no JSON. Its text says why; `line` is the line at fault, where it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_text(path: Path, option: str) -> str:
    """A file's text as it is, without a byte order mark; of `-` what comes in on stdin. Raises `BadInput`."""
    try:
        # Bytes: reading as text would take a lone \r for the end of a line.
        content = typer.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {path}: {error.strerror}", option) from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what PowerShell's > writes
        raise BadInput(f"cannot be read: {path}: it is UTF-16; save it as UTF-8", option)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(f"cannot be read: {path}, line {line}: it is not UTF-8", option) from None


def parse_json(text: str) -> Any:
    """The text as JSON, in which no object has a name twice. Raises `NotJson`."""
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise NotJson("not usable JSON: nested too deeply") from None


def json_option(text: str, option: str) -> Any:
    """JSON given on the command line. Raises `BadInput`."""
    try:
        return parse_json(text)
    except NotJson as error:
        raise BadInput(f"is {error}: {text}", option) from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON leaves open which of two counts; Python silently takes the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotJson(f"not usable JSON: {json.dumps(twice, ensure_ascii=False)} occurs twice in one object")
    return found


def read_json(path: Path, option: str) -> Any:
    """A whole file of JSON. Raises `BadInput` naming the line."""
    return _whole(read_text(path, option), path, option)


def read_entries(path: Path, option: str, what: str, example: str) -> list[Any]:
    """A JSON list; or a line each: all of them JSON objects, or all of them values as they are.

    Lines end at a line feed, with or without a carriage return before it, and nothing else is taken off: white
    space and any other character belong to the value. Raises `BadInput` naming the line.
    """
    text = read_text(path, option)
    begin = text.lstrip(_SPACE)[:1]
    if begin == "[":
        found: list[Any] = _whole(text, path, option)
        return found
    lines = [(number, line) for number, line in _lines(text) if line and (begin != "{" or line.strip(_SPACE))]
    if not text.strip(_SPACE):
        raise BadInput(f"{path} holds no {what}; {example}", option)
    return [_entry(line, f"{path}, line {number}", option, json_lines=begin == "{") for number, line in lines]


def _whole(text: str, path: Path, option: str) -> Any:
    try:
        return parse_json(text)
    except NotJson as error:
        where = f"{path}, line {error.line}" if error.line else f"{path}"
        raise BadInput(f"{where}: {error}", option) from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.removesuffix("\r")


def _entry(line: str, where: str, option: str, *, json_lines: bool) -> Any:
    shown = line[:60]  # enough to find it
    if not json_lines:
        if _looks_like_json(line):
            raise BadInput(
                f"{where}: looks like JSON, in a file of plain values: {shown}; if it is a value, write all of "
                "them as one JSON list of strings",
                option,
            )
        return line
    try:
        found = parse_json(line)
    except NotJson as error:
        raise BadInput(
            f'{where}: {error}; each line must be one JSON object, such as {{"id": "a"}}, or none of them '
            "(values that begin with a brace: as a JSON list of strings)",
            option,
        ) from None
    if not isinstance(found, dict):
        raise BadInput(f"{where}: should be a JSON object as the others are (given: {shown})", option)
    return found


def _looks_like_json(line: str) -> bool:
    """Whether a value is probably an object, a list or a quoted string that was meant to be read."""
    text = line.strip(_SPACE)
    return text.startswith(("{", "[")) or (len(text) > 1 and text[0] == text[-1] == '"')
