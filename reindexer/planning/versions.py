"""The target version: chosen, and held against what the table already carries."""

from __future__ import annotations

from datetime import datetime

from reindexer.errors import BadInput, Refused
from reindexer.models import MAX_VERSION, Operation, Used
from reindexer.planning.sampling import Sampled


def target_version(
    operation: Operation,
    started_at: datetime,
    recorded: int | None,
    found: Sampled,
    *,
    allow_lower: bool,
) -> tuple[int, list[str]]:
    """The target, and warnings about it.

    None: the start in milliseconds. "next": one above what the ledger records and the sample shows. A target
    equal to what is there is fine: the same version again changes nothing. Raises `BadInput`, or `Refused` of
    kind `LowerVersion` where the sample shows a higher one.
    """
    if operation.version == "next":
        version = max(recorded or 0, found.highest or 0) + 1
        if version > MAX_VERSION:
            raise BadInput(
                f"the next version would be {version}, above {MAX_VERSION}; name one", "operation.version"
            )
    else:
        version = operation.version or int(started_at.timestamp() * 1000)  # milliseconds
    if allow_lower:
        return version, []
    if found.highest is not None and found.highest > version:
        raise Refused(
            f"operation.version {version} is below version {found.highest}, which records of the table already "
            f'carry and would keep; take {found.highest} or more, or "next", or set allow_lower',
            "LowerVersion",
        )
    if recorded is not None and recorded > version and found.rows:
        return version, [
            f"an earlier job aimed at version {recorded} here, above this one's {version}; "
            "records that carry it end as superseded"
        ]
    return version, []


def check_used(used: Used | None, version: int, *, allowed: bool) -> list[str]:
    """A warning where records carry the target already, for another purpose.

    They would pass for done and be left as they are. Raises `Refused` of kind `VersionUsed` unless that is
    `allowed`.
    """
    if used is None:
        return []
    used_for = f"operation.version {version} was used for something else by {used.words}"
    if allowed:
        return [f"{used_for}: records that carry it are left as they are, and with any the job is not complete"]
    raise Refused(
        f'{used_for}, and records that carry it would be left as they are; take another version or "next"; the '
        "same job with the same code and parameters may use it again; for the other records, set allow_used",
        "VersionUsed",
    )
