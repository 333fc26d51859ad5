"""What a job must not exceed, so that nothing it sends or keeps is refused once it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reindexer.errors import BadInput, cut
from reindexer.models import Plan
from reindexer.models.packed import packed

_TEMPORAL_ID_BYTES = 1000  # the server's limit of a workflow id
_SORT_KEY_BYTES, _PARTITION_KEY_BYTES = 1024, 2048  # DynamoDB's limits
_RUN = "0123456789"  # ten digits, as every run of a job has
#: What is put behind the job's id: for the longest id of a child, and around it for the longest keys of the
#: ledger (see `reindexer.ledger`).
_CHILD = f"/{_RUN}/verify-0000-again-1000"
_REPORT_POINTER = f"2026-11-21T12:00:00.000000Z#{_RUN}#"
_FAILURES = f"failures##{_RUN}"
#: Bytes of UTF-8 that the workflow id of a job may have.
MAX_WORKFLOW_ID_BYTES = min(
    _TEMPORAL_ID_BYTES - len(_CHILD),
    _SORT_KEY_BYTES - len(_REPORT_POINTER),
    _PARTITION_KEY_BYTES - len(_FAILURES),
)
#: Bytes of UTF-8 of the run that a redrive names: our own have ten, and it is a part of the same keys.
MAX_RUN_BYTES = 100

#: Bytes of JSON of a job's parameters: each of up to 400 shards carries them in every input.
MAX_PARAMS_BYTES = 4096
#: Bytes of JSON of a plan, of the 2 MB that one payload may hold; the rest is for what it travels with.
MAX_PLAN_BYTES = 1_500_000
#: The same compressed, as one run of the job's workflow hands it to the next, with the states of 400 shards.
MAX_PACKED_PLAN_BYTES = 768 * 1024
#: Warnings of a plan, and bytes of each: a person reads them in a report.
_MAX_WARNINGS, _MAX_WARNING_BYTES = 50, 600


def check_workflow_id(workflow_id: str, field: str = "workflow id") -> None:
    """Raise `BadInput` for an id under which a job could not start its shards, or keep its report."""
    if not workflow_id.strip() or not workflow_id.isprintable():
        raise BadInput(f"{workflow_id!r} is empty, or has characters that cannot be printed", field)
    size = len(workflow_id.encode(errors="replace"))
    if size > MAX_WORKFLOW_ID_BYTES:
        raise BadInput(
            f"has {size:,} bytes; a job's may have {MAX_WORKFLOW_ID_BYTES}, since its shards' ids and its keys "
            "in the ledger contain it",
            field,
        )


def check_run(run: str, field: str) -> None:
    """Raise `BadInput` for what cannot be a run of a job."""
    size = len(run.encode(errors="replace"))
    if size > MAX_RUN_BYTES:
        raise BadInput(f"has {size:,} bytes; a run has ten, at most {MAX_RUN_BYTES} are looked for", field)


def check_params(params: Mapping[str, Any]) -> None:
    """Raise `BadInput` for parameters that are too large to travel with every shard."""
    size = len(json.dumps(params, default=str, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_PARAMS_BYTES:
        raise BadInput(
            f"take {size:,} bytes as JSON; at most {MAX_PARAMS_BYTES:,}, since every shard carries them: let "
            "the job read what is larger from where it is",
            "operation.params",
        )


def check_plan(plan: Plan) -> Plan:
    """The plan with bounded warnings. Raises `BadInput` where it is too large to travel."""
    bounded = plan.model_copy(update={"warnings": _bounded(plan.warnings)})
    size = len(bounded.model_dump_json().encode())
    small = len(json.dumps(packed(bounded)))
    if size > MAX_PLAN_BYTES or small > MAX_PACKED_PLAN_BYTES:
        parts = max(size / MAX_PLAN_BYTES, small / MAX_PACKED_PLAN_BYTES)
        raise BadInput(
            f"the plan takes {size:,} bytes of {MAX_PLAN_BYTES:,} that can travel ({small:,} of "
            f"{MAX_PACKED_PLAN_BYTES:,} compressed): split the keys or partitions among {int(parts) + 1} jobs",
            "scope",
        )
    return bounded


def _bounded(warnings: Sequence[str]) -> list[str]:
    shown = [cut(warning, _MAX_WARNING_BYTES) for warning in warnings[:_MAX_WARNINGS]]
    more = len(warnings) - len(shown)
    return [*shown, f"and {more:,} warnings more"] if more else shown
