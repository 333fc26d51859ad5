"""Watching a job until its end: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import time

from rich.live import Live
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from commands.input.exits import Exit
from commands.input.json_only import emit_json
from commands.rendering.figures import scanned
from commands.rendering.report import render_report
from commands.rendering.screen import err, note, say
from commands.rendering.status import picture, plain_line
from commands.temporal.ending import Ending
from commands.temporal.status import JobStatus, job_status

#: Seconds between two looks. Each running shard is asked for its heartbeat: many shards, fewer looks.
_LOOK = 0.5
_LOOK_PER_SHARD = 0.02  # 400 running shards: 8 s, that is 50 calls a second
#: Seconds between two lines without a terminal, unless the state changes; of lines that say the same.
_LINE, _SAME_LINE = 5.0, 300.0  # a log shows that it is still watched, and otherwise what has changed
#: Seconds for which a server may be away before the watching ends.
_PATIENCE = 60.0
#: Transient errors: a server that restarts must not end the watching.
_PASSING = frozenset((RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED))


def show_ending(end: Ending, *, as_json: bool = False) -> None:
    """The report, or the sentence shown instead. With `as_json` the sentence goes to stderr."""
    if end.report is None:
        err.print(Text(end.sentence), soft_wrap=True)
    elif as_json:
        emit_json(end.report)
    else:
        say(render_report(end.report))


def goes_on(job: str) -> Exit:
    """Say that Ctrl-C has ended the watching, not the job."""
    note(f"{job} continues; `reindexer pause {job}` or `reindexer cancel {job}` stops it")
    return Exit.NOT_FINISHED


async def watch_job(client: Client, job: str, *, quiet: bool = False) -> Ending:
    """Show the state of the job, on stderr, until it ends; returns how. `quiet`: show nothing."""
    shown = _Quiet() if quiet else _Bar() if err.is_terminal else _Lines()
    highest, state, failing_since = 0, "", 0.0
    with shown:
        while True:
            try:
                status = await job_status(client, job)
            except RPCError as error:
                failing_since = failing_since or time.monotonic()
                if error.status not in _PASSING or time.monotonic() - failing_since > _PATIENCE:
                    raise
                await asyncio.sleep(_LOOK)
                continue
            failing_since = 0.0
            # A round that ended between two answers is missing for a moment: never show that as going back.
            reached, now = scanned(status.progress) or 0, status.progress.state
            if status.ending or now != state or reached >= highest:
                highest, state = reached, now
                shown.show(status)
            if status.ending:
                return status.ending
            await asyncio.sleep(max(_LOOK, _LOOK_PER_SHARD * len(status.in_flight)))


class _Quiet(contextlib.AbstractContextManager["_Quiet"]):
    """Shows nothing."""

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, status: JobStatus) -> None:
        """Ignore it."""


class _Bar(_Quiet):
    """The picture, redrawn in place and taken away at the end: the report follows."""

    def __init__(self) -> None:
        self._live = Live(console=err, auto_refresh=False, transient=True)

    def __enter__(self) -> _Bar:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: JobStatus) -> None:
        self._live.update(picture(status), refresh=True)


class _Lines(_Quiet):
    """A line when the state changes, else every few seconds, and seldom where nothing has changed."""

    def __init__(self) -> None:
        self._state, self._said, self._at = "", "", 0.0

    def show(self, status: JobStatus) -> None:
        state, says = status.progress.state, plain_line(status, aged=False)
        least = _SAME_LINE if says == self._said else _LINE
        if status.ending or (state == self._state and time.monotonic() - self._at < least):
            return
        self._state, self._said, self._at = state, says, time.monotonic()
        note(f"{time.strftime('%H:%M:%S')}  {plain_line(status)}")
