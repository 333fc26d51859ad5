"""Get every server that can be had on this machine, once, with progress: `python -m testbed`."""

from __future__ import annotations

import sys

from testbed.embedded import available_engines
from testbed.obtain import obtain, obtainable
from testbed.processes import ServerUnavailable


def main() -> None:
    """Exit code 1 where Temporal, its test server or every DynamoDB engine is not to be had."""
    try:
        search = ["opensearch"] if obtainable("opensearch") else []
        for name in ("temporal", "test-server", *available_engines(), *search):
            print(f"{name:<11}  {obtain(name).how}")
    except ServerUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
