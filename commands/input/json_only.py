"""With `--json`, stdout is one JSON document and nothing else, whatever a job's file prints."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from pydantic import BaseModel

_answers: TextIO | None = None  # the real stdout, while everything else that prints goes to stderr


@contextmanager
def json_only() -> Iterator[None]:
    """Within it only `emit_json` reaches stdout: prints, and the output of child processes, go to stderr."""
    global _answers
    real = sys.stdout
    with contextlib.ExitStack() as stack:
        try:
            channel, other = real.fileno(), sys.stderr.fileno()
        except (OSError, ValueError):  # a stream in memory, as in tests: it has no processes below it
            _answers = real
        else:
            _answers = stack.enter_context(_kept(real, channel, other))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        try:
            yield
        finally:
            _answers = None


@contextmanager
def _kept(real: TextIO, channel: int, other: int) -> Iterator[TextIO]:
    """The channel under another number, while its own number leads to `other`."""
    real.flush()
    kept = os.dup(channel)
    os.dup2(other, channel)
    # JSON is UTF-8 whatever the locale; a lone surrogate becomes \udc80, which is JSON too.
    answers = os.fdopen(kept, "w", encoding="utf-8", errors="backslashreplace")
    try:
        yield answers
    finally:
        with contextlib.suppress(BrokenPipeError):  # the reader has closed the pipe
            answers.flush()
        os.dup2(kept, channel)
        with contextlib.suppress(BrokenPipeError):
            answers.close()


def emit_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """One JSON document on stdout, nothing else."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    stream = _answers or sys.stdout
    # Indented on a terminal, one line for a program.
    indent = 2 if stream.isatty() else None
    stream.write(json.dumps(plain, indent=indent, ensure_ascii=False, default=str) + "\n")
