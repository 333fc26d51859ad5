"""dev: run servers, workers and sample data here until Ctrl-C."""

from __future__ import annotations

from commands.input.options import EngineName, Records, needs_extras


def dev(records: Records = None, engine: EngineName = "auto") -> None:
    """Start Temporal, DynamoDB, sample data and workers on this machine, and keep them running until Ctrl-C.

    Needs no account. Your AWS and Temporal settings are not used.
    """
    with needs_extras():
        from commands.running.rehearsal import stay
    stay(records, engine)
