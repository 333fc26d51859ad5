"""setup: create the ledger table and register search attributes, once."""

from __future__ import annotations

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from commands.input.exits import Exit, Stopped
from commands.rendering.screen import note, say
from commands.temporal.server import address, talk
from reindexer.connect import SEARCH_ATTRIBUTES, registered_search_attributes
from reindexer.ledger import Ledger
from reindexer.settings import settings

#: How a server says that search attributes are registered elsewhere, as Temporal Cloud does, or by others.
_NOT_HERE = (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


def setup() -> None:
    """Create the ledger table and register the search attributes. Can be repeated."""
    ledger = Ledger(settings().ledger_table)
    made = ledger.store.create()
    say(f"ledger: table {ledger.table} {'created' if made else 'already exists'}")
    talk(_search_attributes)


async def _search_attributes(client: Client) -> None:
    where = f"namespace {client.namespace} at {address(client)}"
    try:
        added = await register(client)
    except RPCError as error:
        if error.status not in _NOT_HERE:
            raise
        note(f"search attributes: {where} does not allow registering them from here ({error.message})")
        note("Jobs run without them. To list jobs by table and state, register them yourself:")
        note(f"  tcld namespace search-attributes add --namespace {client.namespace} \\")
        note("    " + " ".join(f'--sa "{name}=Keyword"' for name in SEARCH_ATTRIBUTES))
        raise Stopped(Exit.INCOMPLETE) from None
    if added:
        say(f"search attributes: {', '.join(added)} registered in {where}")
    else:
        say(f"search attributes: already registered in {where}")


async def register(client: Client) -> list[str]:
    """Register what is missing; returns what was. Raises `RPCError`."""
    known = await registered_search_attributes(client)
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known]
    if missing:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes=dict.fromkeys(missing, keyword)
            )
        )
    return missing
