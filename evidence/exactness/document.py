"""Putting what was measured into a document, between two markers, and nothing else of it."""

from __future__ import annotations

from pathlib import Path


def put_between_markers(document: Path, name: str, text: str) -> None:
    """Replace what is between the markers of that name. Raises `ValueError` where the document has none."""
    first, last = f"<!-- {name}: written by make -->", f"<!-- end of {name} -->"
    before, begin, rest = document.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{document} has no place for the table: it needs {first} and {last}")
    document.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")
