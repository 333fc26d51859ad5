"""demo-search: fill and ask a search index on this machine, from empty servers to the answers."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.input.options import EngineName, Faults, Records, needs_extras


def demo_search(
    records: Records = None,
    engine: EngineName = "auto",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep everything running until Ctrl-C, show how to query the index.")
    ] = False,
    faults: Faults = 0.1,
) -> None:
    """Start Temporal, DynamoDB, OpenSearch and workers on this machine, index real cities, search them.

    One call in ten fails on purpose, of those to the table and of those to OpenSearch. At the end an
    independent reader compares each record with its document.

    Needs no account, but a JDK and Maven, from which OpenSearch is got the first time. Your AWS and Temporal
    settings are not used.
    """
    with needs_extras():
        from commands.running.searching import rehearse_search
    raise typer.Exit(rehearse_search(records, engine, keep=keep, faults=faults))
