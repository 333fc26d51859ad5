"""demo: run a whole job on this machine, from empty servers to the report."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.options import EngineName, Faults, Records, needs_extras


def demo(
    records: Records = None,
    engine: EngineName = "auto",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep everything running until Ctrl-C, show commands to try.")
    ] = False,
    faults: Faults = 0.1,
) -> None:
    """Start Temporal, DynamoDB and workers on this machine, load real cities, reindex them, show the report.

    One call in ten fails on purpose, and a consumer of the table's stream counts what arrives downstream.

    Needs no account. Your AWS and Temporal settings are not used.
    """
    with needs_extras():
        from commands.running.rehearsal import rehearse
    raise typer.Exit(rehearse(records, engine, keep=keep, faults=faults))
