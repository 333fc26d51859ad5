"""Sources as the engine takes them: a key list that the ledger keeps is fetched before work on it begins."""

from __future__ import annotations

from typing import TypeVar

from reindexer.errors import EnvironmentFault, Refused
from reindexer.ledger import Ledger
from reindexer.models import ClosingInput, Fault, KeptKeys, RoundInput, VerifyInput

Request = TypeVar("Request", RoundInput, VerifyInput, ClosingInput)


def fetched(request: Request, ledger: Ledger) -> Request | Fault:
    """The request with the keys themselves, or what is wrong with the ledger."""
    if not isinstance(request.source, KeptKeys):
        return request
    try:
        return request.model_copy(update={"source": ledger.kept.keys_of(request.source)})
    except EnvironmentFault as error:
        return Fault.of(error)
    except Refused as error:  # the ledger is gone
        return Fault(code=error.kind, message=str(error))
