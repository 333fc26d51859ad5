"""Counting the documents of an index that another program feeds, until they are as many as a job wrote."""

from __future__ import annotations

import time

from commands.input.exits import Exit, Stopped
from reindexer.answers import CallFailed
from reindexer.checks.arrived import Absent, documents_at, passing
from reindexer.dynamo.client import make_client
from reindexer.errors import EnvironmentFault, ReindexerError
from reindexer.models import IndexArrival, Missing, ReadIndex, Report
from reindexer.planning.facts import describe
from reindexer.search.asking import verdict
from reindexer.search.client import SearchClient
from reindexer.tally import Outcome

#: Seconds between two counts: an index refreshes once a second by default.
_LOOK = 1.0


def counted(report: Report, asked: ReadIndex, attribute: str, seconds: float) -> IndexArrival:
    """Count until as many documents have the report's version, or time is up; then name what is missing.

    `attribute`: of the version, in the table. Raises `Stopped` where the cluster never answered, `Refused` and
    `EnvironmentFault` where it denies it or has no such index.
    """
    client = SearchClient(asked)
    expected = report.tally[Outcome.UPDATED] + report.tally[Outcome.CURRENT]
    begun, documents, why = time.monotonic(), None, ""
    while True:
        try:
            documents = documents_at(client, asked.index, asked.field, report.version)
        except CallFailed as failed:
            if not passing(failed):
                raise verdict(failed, f"{client.url}/{asked.index}") from failed
            why = failed.failure.message
        waited = time.monotonic() - begun
        if (documents is not None and documents >= expected) or waited >= seconds:
            break
        time.sleep(_LOOK)
    if documents is None:
        raise Stopped(Exit.NOT_FINISHED, f"{client.url} does not answer: {why}")
    confirmed = documents >= expected
    return IndexArrival(
        index=asked.index,
        field=asked.field,
        confirmed=confirmed,
        waited_seconds=round(waited, 1),
        documents=documents,
        expected=expected,
        missing=None if confirmed else _missing(client, report, asked, attribute, documents),
    )


def _missing(client: SearchClient, report: Report, asked: ReadIndex, attribute: str, documents: int) -> Missing:
    """Why no key can be named is part of the answer: the count stays what it is."""
    try:
        region = report.table_arn.split(":")[3]  # arn:<partition>:dynamodb:<region>:…
        table = describe(report.table_arn, make_client(region=region or None))
        absent = Absent(table.table, table.key, attribute, report.version)
        return absent.from_index(client, asked.index, asked.field, documents)
    except CallFailed as failed:
        return Missing(unknown=f"{failed.failure.code}: {failed.failure.message}")
    except EnvironmentFault as fault:
        return Missing(unknown=fault.message)
    except ReindexerError as error:
        return Missing(unknown=str(error))
