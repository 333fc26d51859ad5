"""Putting what was measured into a document, between two markers, and nothing else of it."""

from __future__ import annotations

from pathlib import Path

BEGIN = "<!-- matrix: written by make faults -->"
END = "<!-- end of matrix -->"


def put_between_markers(document: Path, text: str) -> None:
    """Replace what stands between the markers. Raises `ValueError` where the document has none."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no place for the table: it needs {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}")
