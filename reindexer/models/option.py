"""The command-line option of a field that people write."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """Metadata of a field: how the command line names it and explains it.

    A second option of the same field reads it from a file.
    """

    flag: str  # such as --dry-run; --no-… turns off what is on by default; without dashes: an argument
    help: str
    metavar: str | None = None  # the value in the help; FILE is a path, RATE a number or a word
    alias: str | None = None  # another flag with the same meaning
