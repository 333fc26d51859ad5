"""Sources as the engine takes them: what the ledger keeps of them is fetched before work on them begins."""

from __future__ import annotations

from typing import TypeVar

from reindexer.errors import EnvironmentFault, Refused
from reindexer.ledger import Ledger
from reindexer.models import (
    ClosingInput,
    CompareInput,
    Fault,
    KeptKeys,
    OlderSegment,
    RoundInput,
    Source,
    VerifyInput,
)

Request = TypeVar("Request", RoundInput, VerifyInput, ClosingInput, CompareInput)


def fetched(request: Request, ledger: Ledger) -> Request | Fault:
    """The request with the keys themselves, or what is wrong with the ledger."""
    source: Source = request.source
    try:
        match source:
            case KeptKeys():
                source = ledger.kept.keys_of(source)
            case OlderSegment() if not isinstance(request, VerifyInput) and request.place:
                given_up = ledger.failures.keys(request.place.job, request.place.run)
                source = source.model_copy(update={"given_up": given_up})
            case _:
                return request
        return request.model_copy(update={"source": source})
    except EnvironmentFault as error:
        return Fault.of(error)
    except Refused as error:  # the ledger is gone
        return Fault(code=error.kind, message=str(error))
