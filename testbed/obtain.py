"""Each server this machine can have: found, or got once and kept in a cache outside the checkout."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from testbed.cache import Obtained, alone, cache
from testbed.processes import ServerUnavailable
from testbed.servers import dynoxide, local, ministack, moto, opensearch, temporal, temporal_test_server

_FINDERS: dict[str, Callable[[], Obtained | None]] = {
    "temporal": temporal.find,
    "test-server": temporal_test_server.find,
    "dynoxide": dynoxide.find,
    "ministack": ministack.find,
    "local": local.find,
    "moto": moto.find,
    "opensearch": opensearch.find,
    "opensearch-2": opensearch.find_2,
}
_GETTERS: dict[str, Callable[[], None]] = {
    "temporal": temporal.get,
    "test-server": temporal_test_server.get,
    "dynoxide": dynoxide.get,
    "ministack": ministack.get,
    "local": local.get,
    "opensearch": opensearch.get,
    "opensearch-2": opensearch.get_2,
}
#: Whether a getter is worth a try; the others need nothing but what runs this.
_POSSIBLE: dict[str, Callable[[], bool]] = {
    "dynoxide": dynoxide.possible,
    "local": local.possible,
    "opensearch": opensearch.possible,
    "opensearch-2": opensearch.possible_2,
}


def obtain(name: str) -> Obtained:
    """Find or get `temporal`, `test-server`, `dynoxide`, `ministack`, `local` (DynamoDB Local) or `moto`.

    Also `opensearch`, the newest that this machine's Java can run, and `opensearch-2`.

    May take minutes the first time, and says so before. Raises `ServerUnavailable`.
    """
    if (found := find(name)) is not None:
        return found
    if name not in _GETTERS:
        raise ServerUnavailable(f'{name} is not beside this Python: pip install "{name}[server]".')
    with alone(name):
        if find(name) is None:  # else another process has got it while we waited
            _GETTERS[name]()
            shutil.rmtree(cache() / "build" / name, ignore_errors=True)
    if (found := find(name)) is None:
        raise ServerUnavailable(f"{name} was got, yet is not in {cache()}: does something clean that folder?")
    return found


def find(name: str) -> Obtained | None:
    """The server if it is on this machine already: on PATH or in the cache. Gets nothing, takes no time."""
    if name not in _FINDERS:
        raise ServerUnavailable(f"There is no server called {name}: choose of {', '.join(_FINDERS)}.")
    return _FINDERS[name]()


def obtainable(name: str) -> bool:
    """Whether `obtain(name)` has a fair chance: the server is here, or what it is made with is."""
    if find(name) is not None:
        return True
    return name in _GETTERS and _POSSIBLE.get(name, lambda: True)()
