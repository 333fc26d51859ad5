"""Waiting for the ledger within a round, which heartbeats meanwhile."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import TypeVar

from activities.failures import refusals_as_faults
from reindexer.answers import Action, CallFailed, Failure
from reindexer.errors import Unavailable
from reindexer.round_context import TICK_SECONDS, RoundContext

R = TypeVar("R")


def answered(answer: Future[R], context: RoundContext) -> R:
    """The ledger's answer. Its client may take longer than a heartbeat.

    Raises `CallFailed` where it is worth another try, and when it was asked to stop; else `EnvironmentFault`.
    """
    while not wait([answer], timeout=TICK_SECONDS).done:
        context.heartbeat()
        if context.stopping():
            raise CallFailed(Failure("Interrupted", "asked to stop", Action.RETRY))
    try:
        with refusals_as_faults():
            return answer.result()
    except Unavailable as error:
        raise CallFailed(Failure(error.code, error.message, Action.RETRY)) from error
