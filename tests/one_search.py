"""One OpenSearch for all processes of a test run: a start takes 10 s of CPU, and indexes have names of tests.

pytest-xdist's controller starts it when the first process asks, and ends it, however the processes end.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import pytest

from testbed.processes import ServerUnavailable
from testbed.search import SearchServer

#: Under which a process finds the controller's address in its `workerinput`.
_ASK = "one_search"


class OneSearch:
    """A server that is started by the first question for its URL. `address`: where to ask."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="reindexer-one-search-")
        self._running = contextlib.ExitStack()
        self._url = ""
        self._closing = False
        self._listener = Listener(("127.0.0.1", 0))
        self.address = self._listener.address
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; whoever asks now gets no answer."""
        self._closing = True
        self._listener.close()
        with contextlib.suppress(OSError), contextlib.closing(Client(self.address)):
            pass  # wakes up the thread, where closing alone does not
        self._thread.join(timeout=120)  # a start under way comes to its end first
        self._running.close()
        self._folder.cleanup()

    def _answer(self) -> None:
        while True:
            try:
                connection: Connection = self._listener.accept()
            except OSError:
                return
            if self._closing:  # no question: it would start a server at the end of every run that has none
                connection.close()
                return
            with connection, contextlib.suppress(OSError):  # of one that has gone
                connection.send(self._ask())

    def _ask(self) -> tuple[str, str]:
        """(its URL, why there is none). Each who asks tries to start what could not be started."""
        try:
            if not self._url:
                server = SearchServer(logs=Path(self._folder.name))
                self._url = self._running.enter_context(server).url
        except ServerUnavailable as error:
            return "", str(error)
        return self._url, ""


def asked_of_controller(config: pytest.Config) -> str | None:
    """The URL of the server that all processes share; None: this process is the only one.

    Raises `ServerUnavailable`.
    """
    given = getattr(config, "workerinput", {})
    if _ASK not in given:
        return None
    with Client(tuple(given[_ASK])) as connection:
        url, why = connection.recv()
    if why:
        raise ServerUnavailable(why)
    return str(url)


class Controller:
    """The plugin of the controller."""

    def __init__(self) -> None:
        self._search = OneSearch()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # xdist has no types
        """Before a process is started: where to ask."""
        node.workerinput[_ASK] = list(self._search.address)

    def pytest_unconfigure(self) -> None:
        """Once all processes have ended."""
        self._search.close()
