"""Arguments and options that several verbs take, said once, and reading what was given with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from commands.input.exits import Exit, Stopped
from commands.input.files import NotJson, parse_json
from reindexer.errors import BadInput

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's workflow id, such as reindex-cities.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the job's report.", metavar="TEXT")]
Run = Annotated[str | None, typer.Option(help="An earlier run of the job; default: its newest.", metavar="RUN")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SkipExpired = Annotated[
    bool, typer.Option("--skip-expired", help="Leave records alone that are past their time to live (TTL).")
]
KeyOptions = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="JSON", help='Only this record, such as \'{"id": "a"}\'. Can be repeated.'),
]

EngineChoice = Literal["auto", "dynoxide", "ministack", "local"]
EngineName = Annotated[EngineChoice, typer.Option(help="Which DynamoDB engine; auto: the fastest to be had.")]
Records = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Records; default: all cities, fewer on a slow engine."),
]

_RATE = "a number per second, unlimited, or chosen (by the plan)"
ReadUnits = Annotated[str | None, typer.Option("--read-units", metavar="RATE", help=f"Read units: {_RATE}.")]
WriteUnits = Annotated[
    str | None,
    typer.Option("--write-units", metavar="RATE", help=f"Write units, indexes included: {_RATE}."),
]
RecordsPerSecond = Annotated[
    str | None, typer.Option("--records-per-second", metavar="RATE", help=f"Records: {_RATE}.")
]
ShardsInFlight = Annotated[
    int | None,
    typer.Option("--shards-in-flight", metavar="N", help="Shards at work at the same time, 1 to 400."),
]
QuarantinedLimit = Annotated[
    int | None,
    typer.Option("--quarantined", metavar="N", help="Records given up before the job parks itself."),
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


def limits_given(
    read_units: str | None,
    write_units: str | None,
    records_per_second: str | None,
    shards_in_flight: int | None,
    quarantined: int | None,
) -> dict[str, Any]:
    """The fields of `limits` that were given, as the job's input wants them. Raises `BadInput`."""
    rates = {
        "read_units_per_second": (read_units, "--read-units"),
        "write_units_per_second": (write_units, "--write-units"),
        "records_per_second": (records_per_second, "--records-per-second"),
    }
    numbers = {"shards_in_flight": shards_in_flight, "quarantined": quarantined}
    return {
        **{name: _rate(text, option) for name, (text, option) in rates.items() if text is not None},
        **{name: number for name, number in numbers.items() if number is not None},
    }


def _rate(text: str, option: str) -> float | str | None:
    """As the job's input wants it: null where the plan chooses."""
    if text in ("unlimited", "chosen"):
        return text if text == "unlimited" else None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"should be {_RATE} (given: {text})", option) from None


def json_option(text: str, option: str) -> Any:
    """JSON given on the command line. Raises `BadInput`."""
    try:
        return parse_json(text)
    except NotJson as error:
        raise BadInput(f"is {error}: {text}", option) from None
