"""Arguments and options that several verbs take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from commands.input.exits import Exit, Stopped
from commands.input.fields import option_of

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's workflow ID, such as reindex-cities.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
Reason = Annotated[str | None, option_of("reason")]
Run = Annotated[str | None, typer.Option(help="A run of the job; default: the newest.", metavar="RUN")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
ReplicaRegion = Annotated[
    str | None, typer.Option("--with-region", metavar="REGION", help="The replica's Region.")
]
KeyOptions = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="JSON", help='Only this record, such as \'{"id": "a"}\'. Can be repeated.'),
]

EngineChoice = Literal["auto", "dynoxide", "ministack", "local"]
EngineName = Annotated[EngineChoice, typer.Option(help="DynamoDB engine; auto: the fastest available.")]
Records = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Number of records; default: all cities, fewer on a slow engine."),
]
Faults = Annotated[
    float, typer.Option(min=0.0, max=0.9, metavar="RATE", help="The fraction of calls that fail; 0: none.")
]


@contextmanager
def needs_extras() -> Iterator[None]:
    """Imports that need the extra `demo`. Raises `Stopped` saying so where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Stopped(
            Exit.BAD_INPUT,
            f"this needs the module {error.name}; install it with: pip install -e '.[demo]' (in the checkout)",
        ) from error
