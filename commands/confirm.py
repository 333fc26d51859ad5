"""confirm: say whether what a job wrote has arrived in an index."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import ValidationError
from temporalio.client import Client

from activities.follows import follows_of, with_given_up
from commands.input.exits import Exit
from commands.input.fields import option_of
from commands.input.json_only import emit_json
from commands.input.options import AsJson, Job, Run
from commands.rendering.arrival import render_arrival
from commands.rendering.screen import say
from commands.running.counting import counted
from commands.temporal.follows import arrival_at
from commands.temporal.later import later_run
from commands.temporal.server import talk
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.ledger import Ledger
from reindexer.models import Arrival, Attributes, FollowArrival, ReadIndex, Report
from reindexer.operations import VERBS
from reindexer.settings import settings

#: A change lies behind the job when it is later than its end by this: clocks differ by less.
_BEHIND = timedelta(seconds=2)
_TIMEOUT = 300.0  # seconds; an idle stream is known to have nothing more after one minute
_VERSION = Attributes().version


def confirm(
    job: Job,
    search: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Count in an index that another program feeds, at this endpoint."),
    ] = None,
    index: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --search: the index, or an alias of one.")
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --search: the documents' field with the version; default: as the attribute.",
        ),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="With --search: aws (SigV4), or env:NAME, a variable here."),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--search-region", metavar="REGION", help="The domain's, for --auth aws.")
    ] = None,
    version_attribute: Annotated[
        str,
        option_of("attributes.version", "With --search: attribute of the version, in the table."),
    ] = _VERSION,
    timeout: Annotated[
        float, typer.Option(min=0, max=86_400, metavar="SECONDS", help="Time to wait for it, up to a day.")
    ] = _TIMEOUT,
    run: Run = None,
    as_json: AsJson = False,
) -> None:
    """Wait until what a job wrote to its table has arrived in an index, and say so.

    Asks each running follow of the table whether all that changed up to the job's end is settled. With --search
    it counts the documents that carry the job's version, until they are as many as the records at it.

    Exit codes: 0 confirmed, 1 not in time, or records were given up on the way, 2 bad input, 3 no answer.
    """
    asked = _index(search, index, field or version_attribute, auth, region)
    if asked is None and (index or field or auth or region):
        raise BadInput("is missing: --index, --field, --auth and --search-region need it", "--search")
    ledger = Ledger(settings().ledger_table)
    report = _report(ledger, job, run, counts=asked is not None)
    if asked is not None:
        found = counted(report, asked, version_attribute, timeout)
        answer = _arrival(report).model_copy(update={"index": found, "confirmed": found.confirmed})
    else:
        follows = talk(lambda client: _settled(client, ledger, report, timeout))
        confirmed = all(follow.confirmed for follow in follows)
        answer = _arrival(report).model_copy(update={"follows": follows, "confirmed": confirmed})
    if as_json:
        emit_json(answer)
    else:
        say(render_arrival(answer))
    raise typer.Exit(_code(answer))


def _index(
    search: str | None, index: str | None, field: str, auth: str | None, region: str | None
) -> ReadIndex | None:
    if search is None:
        return None
    if index is None:
        raise BadInput("is missing: --search needs it", "--index")
    try:
        return ReadIndex(search=search, index=index, field=field, auth=auth, region=region)
    except ValidationError as error:
        raise BadInput(f"--{explain(error)}") from None


def _report(ledger: Ledger, job: str, run: str | None, *, counts: bool) -> Report:
    """What the job wrote. Raises `BadInput` where it has not ended, or wrote nothing that can be looked for."""
    report = ledger.reports.find(job, run)
    if report is None:
        which = f"run {run} of job {job}" if run else f"job {job}"
        raise BadInput(f"the ledger {ledger.table} has no report of {which}")
    if run is None and (later := later_run(job, report.run, report.started_at)):
        raise BadInput(f"{later}; name that one with --run {report.run}")
    if report.state == "running":
        raise BadInput(f"{job} has not ended by itself: `reindexer report {job}` says whether it still runs")
    kind = report.operation.get("kind", "?")
    verb = VERBS.get(kind)
    if verb is None or not verb.in_place or report.writer == "none" or report.dry_run is not None:
        raise BadInput(f"{job} wrote nothing to {report.table} ({kind}): there is nothing to arrive")
    if counts and not verb.stamps:
        raise BadInput(f"{job} leaves no version that could be counted ({kind})", "--search")
    return report


def _arrival(report: Report) -> Arrival:
    return Arrival(
        job=report.job,
        run=report.run,
        table=report.table,
        version=report.version,
        until=_until(report),
        confirmed=False,
    )


def _until(report: Report) -> datetime:
    began = report.started_at if report.started_at.tzinfo else report.started_at.replace(tzinfo=UTC)
    return began + timedelta(seconds=report.seconds) + _BEHIND


async def _settled(client: Client, ledger: Ledger, report: Report, seconds: float) -> list[FollowArrival]:
    """Of each follow of the table. Raises `BadInput` where there is none."""
    follows = await follows_of(client, ledger, report.table, report.table_arn)
    if not follows:
        raise BadInput(
            f"no follow of {report.table} runs in namespace {client.namespace}; `reindexer index --follow` "
            "starts one; for an index that another program feeds use --search"
        )
    until = _until(report)
    found = await asyncio.gather(*(arrival_at(client, follow, until, seconds) for follow in follows))
    pairs = zip(follows, found, strict=True)
    return [
        await asyncio.to_thread(with_given_up, ledger, follow, arrival, report.started_at)
        for follow, arrival in pairs
    ]


def _code(answer: Arrival) -> Exit:
    if answer.confirmed:
        return Exit.COMPLETE
    silent = [follow for follow in answer.follows if not follow.answered]
    return Exit.NOT_FINISHED if silent else Exit.INCOMPLETE
