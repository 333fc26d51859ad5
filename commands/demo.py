"""demo: the whole thing on this machine, from nothing to a report."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.options import EngineName, Records, needs_extras


def demo(
    records: Records = None,
    engine: EngineName = "auto",
    keep: Annotated[bool, typer.Option("--keep", help="Leave all up until Ctrl-C, show what to try.")] = False,
    faults: Annotated[
        float, typer.Option(min=0.0, max=0.9, metavar="RATE", help="The part of calls that fail; 0: none.")
    ] = 0.1,
) -> None:
    """Start Temporal, DynamoDB and workers on this machine, load real cities, reindex them, show the report.

    One call in ten fails on purpose, and a consumer of the table's stream counts what arrives downstream.

    Needs no account and touches none: your AWS and Temporal settings are not looked at.
    """
    with needs_extras():
        from commands.running.rehearsal import rehearse
    raise typer.Exit(rehearse(records, engine, keep=keep, faults=faults))
