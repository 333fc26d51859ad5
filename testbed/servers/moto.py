"""moto: AWS in Python for tests; without PartiQL, so that writes go one by one."""

from __future__ import annotations

import importlib.util
import sys

from testbed.cache import Obtained


def find() -> Obtained | None:
    """Beside our own Python: an extra of the tests installs it."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        return None
    # Its log of requests, a line for each, would outgrow everything else.
    quiet = "import logging, moto.server as m; logging.getLogger('werkzeug').setLevel(logging.ERROR); m.main()"
    return Obtained((sys.executable, "-P", "-c", quiet), "moto, beside this Python")
