"""dev: servers, sample data and workers on this machine, until Ctrl-C."""

from __future__ import annotations

from commands.input.options import EngineName, Records, needs_extras


def dev(records: Records = None, engine: EngineName = "auto") -> None:
    """Start Temporal, DynamoDB, sample data and workers on this machine, and leave them up until Ctrl-C.

    Needs no account and touches none: your AWS and Temporal settings are not looked at.
    """
    with needs_extras():
        from commands.running.rehearsal import stay
    stay(records, engine)
