"""retire: remove search indexes that readers do not use any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.text import Text

from commands.input.confirm import confirm
from commands.input.exits import Exit, Stopped
from commands.input.fields import Fields, Given
from commands.input.json_only import emit_json
from commands.input.options import AsJson, Yes
from commands.rendering.screen import BAD, DIM, WARN, Cell, listing, moment, note, say
from commands.temporal.holder import still_runs
from reindexer.answers import CallFailed
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.ledger import Ledger
from reindexer.models import ORDERER, SearchAddress
from reindexer.models.search_index import destination_of
from reindexer.search import admin
from reindexer.search.asking import asked, repeated
from reindexer.search.client import SearchClient
from reindexer.search.retiring import OwnIndex, Writing, indexes
from reindexer.settings import settings
from reindexer.words import count, size, some

_FIELDS = Fields(
    "operation.to.search",
    "operation.to.alias",
    "operation.to.auth",
    "operation.to.region",
    words={"operation.to.auth": "aws (SigV4), or env:NAME: a variable of this machine's environment."},
)


def retire(
    *,
    name: Annotated[
        str, typer.Argument(metavar="TABLE|ALIAS", help="Whose indexes: the table's, or the alias.")
    ],
    given: Annotated[Given, _FIELDS],
    keep: Annotated[int, typer.Option(min=0, metavar="N", help="Keep the N newest of the old ones.")] = 0,
    newer: Annotated[
        bool,
        typer.Option("--newer", help="Also what is newer than the readers' one, of jobs that ended early."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """List the indexes that jobs made for an alias, and remove the old ones, after asking.

    Never removed: what readers have, what a running job writes to, and what another alias points at.

    Exit codes: 0 removed, or nothing to remove, 1 some could not be removed, 2 refused, 3 no answer.
    """
    address = _address(name, given)
    client = SearchClient(address)
    found = _found(client, address, keep=keep, newer=newer)
    old = [index.index for index in found if not index.kept]
    if not as_json:
        _show(address, found)
    if not old:
        if as_json:
            emit_json(_as_json(address, found))
        return
    try:
        confirm(f"Remove {some(len(old), 'index', 'indexes')}?", yes=yes, otherwise="nothing was removed")
    except Stopped:
        if as_json:
            emit_json(_as_json(address, found))
        raise
    # Looked at again: meanwhile a job may have begun, or the alias may have been moved back.
    found = _found(client, address, keep=keep, newer=newer)
    found = [_removed(client, index) if index.index in old and not index.kept else index for index in found]
    gone = [index for index in found if index.removed]
    if as_json:
        emit_json(_as_json(address, found))
    else:
        say(f"{some(len(gone), 'index', 'indexes')} removed")
    if len(gone) < len(old):
        raise typer.Exit(Exit.INCOMPLETE)


def _address(name: str, given: Given) -> SearchAddress:
    to = given.get("operation", {}).get("to", {})
    if "search" not in to:
        raise BadInput("is missing; for example `reindexer retire cities --to http://localhost:9200`", "--to")
    try:
        return SearchAddress.model_validate({"alias": name.rsplit("/", 1)[-1].lower(), **to})
    except ValidationError as error:
        raise BadInput(f"operation.to.{explain(error)}") from None


def _found(client: SearchClient, address: SearchAddress, *, keep: int, newer: bool) -> list[OwnIndex]:
    cluster = str(asked(client, "GET", "/")["cluster_uuid"])
    writing = _writing(destination_of(cluster, address.alias))
    return repeated(client, lambda: indexes(client, address, writing, keep=keep, newer=newer))


def _writing(destination: str) -> Writing | None:
    """The running job that holds the alias, if any."""
    ledger = Ledger(settings().ledger_table)
    holder = ledger.locks.holder(destination, ORDERER)
    if holder is None or not still_runs(holder):
        return None
    report = ledger.reports.find(holder.workflow_id, holder.run)
    return Writing(holder.workflow_id, holder.run, report.version if report else None)


def _removed(client: SearchClient, index: OwnIndex) -> OwnIndex:
    try:
        admin.remove(client, index.index)
    except CallFailed as failed:
        note(f"{index.index} could not be removed: {failed}", BAD)
        return index
    return index.model_copy(update={"removed": True})


def _show(address: SearchAddress, found: list[OwnIndex]) -> None:
    if not found:
        say(f"no job has made an index for the alias {address.alias}")
        return
    head = ("index", "made", "documents", "size", "by", "")
    listing(_rows(found), head, spare=(3, 2, 1), right=(2, 3))
    if all(index.kept for index in found):
        note("nothing to remove")


def _rows(found: list[OwnIndex]) -> Iterator[tuple[Cell, ...]]:
    for index in found:
        yield (
            index.index,
            moment(datetime.fromtimestamp(index.epoch / 1000, UTC)),
            "" if index.documents is None else count(index.documents),
            "" if index.bytes is None else size(index.bytes),
            index.job,
            Text(f"kept: {index.kept}", DIM) if index.kept else Text("to be removed", WARN),
        )


def _as_json(address: SearchAddress, found: list[OwnIndex]) -> dict[str, object]:
    return {"alias": address.alias, "indexes": [index.model_dump(mode="json") for index in found]}
