"""The command line of a fault proxy."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Plan = TypeVar("Plan", bound=BaseModel)


def run(
    module: str,
    behind: str,
    port: int,
    plan_type: type[Plan],
    serve: Callable[[str, int, Plan], Coroutine[Any, Any, None]],
) -> None:
    """Serve until stopped. `behind` names what the proxy is in front of, `port` is the default."""
    purpose = f"A proxy in front of {behind} that injects faults and keeps the truth about them."
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=purpose)
    parser.add_argument("--target", required=True, help="its address, e.g. http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, default=port, help="on 127.0.0.1 (default: %(default)s)")
    help_of_plan = f"a {plan_type.__name__} as JSON; none: no faults, only the truth"
    parser.add_argument("--plan", type=Path, help=help_of_plan)
    options = parser.parse_args()
    try:
        given: Path | None = options.plan
        plan = plan_type.model_validate_json(given.read_bytes()) if given else plan_type()
        asyncio.run(serve(options.target, options.port, plan))
    except (ValidationError, OSError) as error:  # a plan that is wrong or missing, a port that is taken
        parser.exit(2, f"{parser.prog}: {error}\n")  # 2: bad input, as everywhere
    except KeyboardInterrupt:
        pass
