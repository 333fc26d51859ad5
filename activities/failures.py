"""The one translation of the engine's errors to Temporal's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from reindexer.answers import Action, CallFailed
from reindexer.errors import BadInput, EnvironmentFault, Refused, one_line


@contextmanager
def refusals_as_faults() -> Iterator[None]:
    """For what a round keeps in the ledger: a ledger that is gone has to be seen to, and parks the shard."""
    try:
        yield
    except Refused as error:
        raise EnvironmentFault(error.kind, str(error)) from error


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the engine raises as `ApplicationError`, retryable only where trying again can help."""
    try:
        yield
    except BadInput as error:
        raise ApplicationError(one_line(error, 2000), type="BadInput", non_retryable=True) from error
    except Refused as error:
        raise ApplicationError(one_line(error, 2000), type=error.kind, non_retryable=True) from error
    except EnvironmentFault as error:
        raise ApplicationError(
            one_line(error, 2000), type=error.code, non_retryable=not error.retryable
        ) from error
    except CallFailed as error:
        passing = error.failure.action in (Action.WAIT, Action.RETRY, Action.LEAVE)
        raise ApplicationError(one_line(error), type=error.failure.code, non_retryable=not passing) from error
