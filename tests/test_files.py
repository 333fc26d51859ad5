"""Files that people write: byte order marks, line ends, and lines that are nearly JSON."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.input.files import read_text
from commands.input.job_input import job_input
from commands.input.scope import scope_given
from reindexer.errors import BadInput

Scope = Callable[[Path], Any]

BOM = b"\xef\xbb\xbf"


def by_keys(file: Path) -> Any:
    return scope_given(None, None, file)


def by_partitions(file: Path) -> Any:
    return scope_given(None, None, None, (), file)


def written(folder: Path, content: bytes) -> Path:
    file = folder / "given"
    file.write_bytes(content)
    return file


# ── What is read ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_json_lines_are_read_with_and_without_a_mark_and_a_carriage_return(
    tmp_path: Path, mark: bytes, end: bytes
) -> None:
    file = written(tmp_path, mark + end.join((b'{"id":"a"}', b"", b' {"id": "b"} ', b"")))
    assert by_keys(file) == {"kind": "keys", "keys": [{"id": "a"}, {"id": "b"}]}


@pytest.mark.parametrize("scope", [by_keys, by_partitions])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_a_json_list_is_read_with_and_without_a_mark(tmp_path: Path, mark: bytes, scope: Scope) -> None:
    assert scope(written(tmp_path, mark + b'\r\n [ "a",\r\n 7, "{b}", "[c]" ]\n'))["values"] == [
        "a", 7, "{b}", "[c]",
    ]  # fmt: skip


#: What Python's own `splitlines` and `strip` would take for an end or an edge.
INSIDE = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\t", "\xa0", "\ufeff", "\x00"]


@pytest.mark.parametrize("scope", [by_keys, by_partitions])
@pytest.mark.parametrize("inside", [*INSIDE, " "])
def test_lines_end_at_a_line_feed_and_nothing_else_is_taken_off(
    tmp_path: Path, inside: str, scope: Scope
) -> None:
    values = ["first", f"a{inside}b", f"{inside}x", f"y{inside}", "last"]
    for end in ("\n", "\r\n"):
        assert scope(written(tmp_path, (end.join(values) + end).encode()))["values"] == values
    assert scope(written(tmp_path, end.join(values).encode()))["values"] == values  # the last line unended


def test_a_carriage_return_within_a_line_is_no_end(tmp_path: Path) -> None:
    assert by_keys(written(tmp_path, b"a\rb\r\n\rc\n"))["values"] == ["a\rb", "\rc"]


@pytest.mark.parametrize("inside", ["\u2028", "\u0085", "\u007f"])
def test_a_json_line_keeps_what_its_strings_hold(tmp_path: Path, inside: str) -> None:
    lines = f'{{"id":"a{inside}b"}}\n{{"id":"c"}}\n'
    assert by_keys(written(tmp_path, lines.encode()))["keys"] == [{"id": f"a{inside}b"}, {"id": "c"}]


def test_stdin_is_read_as_a_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BOM + "a\u2028b\rc\r\n".encode())))
    assert by_keys(Path("-"))["values"] == ["a\u2028b\rc"]


def test_the_input_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    assert job_input({}, written(tmp_path, BOM + b'{"table": "cities"}\r\n')).table == "cities"


# ── What is refused ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("scope", "option"), [(by_keys, "--keys"), (by_partitions, "--partitions-from")])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"id":"a"}\n{"id":"b"\n', "line 2: not JSON"),
        ('{"id":"a"}\n{"id":"b"},\n', "line 2: not JSON: Extra data"),
        ('{"id":"a"}\nb\n', "line 2: not JSON"),
        ('{"id":"a"}\n"b"\n', "line 2: should be a JSON object"),
        ('{"id":"a"}\n["b"]\n', "line 2: should be a JSON object"),
        ("{'id': 'a'}\n", "line 1: not JSON"),
        ("{3F2504E0-4F89}\n", "as a JSON list of strings"),
        ('a\n{"id":"b"}\n', "line 2: looks like JSON"),
        ('a\n\n  {"id":"b"}\n', "line 3: looks like JSON"),
        ('a\n["b"]\n', "line 2: looks like JSON"),
        ('"a"\n"b"\n', "line 1: looks like JSON"),
        ('{"id":"a","id":"b"}\n', '"id" occurs twice'),
        ('["a",\n"b"', "line 2: not JSON"),
        ("\ufeff\n\r\n", "holds no "),
    ],
)
def test_what_looks_like_json_and_is_not_is_refused_with_its_line(
    tmp_path: Path, content: str, sentence: str, scope: Scope, option: str
) -> None:
    with pytest.raises(BadInput) as refused:
        scope(written(tmp_path, content.encode()))
    assert str(refused.value).startswith(f"{option}: ")
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("id\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        (b"a\nb\nM\xfcnchen\n", "line 3: it is not UTF-8"),
    ],
)
def test_another_encoding_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_text(written(tmp_path, content), "--keys")


@pytest.mark.parametrize(
    "content", ['{"table": "a", "table": "b"}', '{"table": "a", "scope": {"kind": 1, "kind": 2}}']
)
def test_an_input_that_says_a_thing_twice_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(BadInput, match="occurs twice in one object"):
        job_input({}, written(tmp_path, content.encode()))
