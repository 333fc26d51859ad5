"""The table's time to live (TTL): by which attribute, for how many records, and whether they are left alone."""

from __future__ import annotations

from datetime import UTC, datetime

from reindexer.errors import BadInput, Refused
from reindexer.jobs.expiry import MAX_SECONDS_PAST, expired
from reindexer.models import Attributes, Expiry, JobInput
from reindexer.planning.asking import denied
from reindexer.planning.facts import TTL_DENIED, Described
from reindexer.planning.sampling import Sampled


def plan_expiry(
    job: JobInput, attributes: Attributes, described: Described, found: Sampled | None, started_at: datetime
) -> tuple[Expiry | None, str, list[str]]:
    """(what the job leaves alone, the plan's line about TTL, warnings). Raises `BadInput`, `Refused`."""
    name, unknown, table = described.ttl, described.ttl_unknown, described.table.table
    if name is None:
        if job.skip_expired and unknown == TTL_DENIED:
            raise denied(["dynamodb:DescribeTimeToLive"], table)
        if job.skip_expired and unknown:
            raise Refused(f"the TTL attribute of {table}, which skip_expired needs, is not known: {unknown}")
        if job.skip_expired:
            raise BadInput(
                f"{table} has no time to live (TTL) switched on: no record of it expires", "skip_expired"
            )
        return None, f"not known: {unknown}" if unknown else "", []
    for field, own in (("version", attributes.version), ("run", attributes.run)):
        if own == name:
            raise BadInput(
                f"{own!r} is the TTL attribute of {table}: what a job writes there would decide when records "
                "expire; choose another name",
                f"attributes.{field}",
            )
    moment = int(started_at.timestamp())
    expiry = Expiry(attribute=name, first=moment - MAX_SECONDS_PAST, before=moment)
    line, past = name, 0
    if found is not None:
        past = sum(expired(expiry, item) for item in found.items)
        line += f"; {past} of {found.rows} sampled records have expired"
    if job.skip_expired:
        at = datetime.fromtimestamp(moment, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
        note = f"records that expired before {at} UTC (by {name}) are left alone, and counted as filtered"
        return expiry, f"{line}, and are left alone" if found else line, [note]
    notes = []
    if found is not None and past:
        notes.append(
            f"{past} of {found.rows} sampled records have expired (by {name}) and wait for DynamoDB to delete "
            "them; they are processed like others, unless skip_expired is set"
        )
    return None, line, notes
