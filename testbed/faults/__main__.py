"""The fault proxy's command line: `python -m testbed.faults`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from pydantic import ValidationError

from testbed.faults.plan import FaultPlan
from testbed.faults.server import serve

_PURPOSE = "A proxy in front of a DynamoDB engine that injects faults and keeps the truth about them."


def main() -> None:
    """The command line: serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m testbed.faults", description=_PURPOSE)
    parser.add_argument("--target", required=True, help="the engine, e.g. http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, default=8001, help="on 127.0.0.1 (default: %(default)s)")
    parser.add_argument("--plan", type=Path, help="a FaultPlan as JSON; none: no faults, only the truth")
    options = parser.parse_args()
    try:
        plan = FaultPlan.model_validate_json(options.plan.read_bytes()) if options.plan else FaultPlan()
        asyncio.run(serve(options.target, options.port, plan))
    except (ValidationError, OSError) as error:  # a plan that is wrong or missing, a port that is taken
        parser.exit(2, f"{parser.prog}: {error}\n")  # 2: bad input, as everywhere
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
