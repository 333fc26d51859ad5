"""status: where a job stands, with or without workers."""

from __future__ import annotations

import typer

from commands.account import account
from commands.json_only import emit_json
from commands.options import AsJson, Job
from commands.picture import picture
from commands.screen import say
from commands.server import talk
from commands.standing import standing


def status(job: Job, as_json: AsJson = False) -> None:
    """Where a job stands. Works without workers too, from what the server knows.

    Exit code 0 complete, 1 incomplete or failed, 2 refused, 3 not finished.
    """
    stands = talk(lambda client: standing(client, job))
    if as_json:
        emit_json(stands.as_json())
    elif stands.ending and stands.ending.report:
        say(account(stands.ending.report))
    else:
        say(picture(stands))
    raise typer.Exit(stands.code)
