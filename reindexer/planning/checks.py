"""What the table itself rules out: attributes that are keys of another type, and items that AWS replicates."""

from __future__ import annotations

from collections import Counter
from typing import Any

from reindexer.dynamo.index_keys import INDEX_KEY, IndexKeys
from reindexer.errors import BadInput, Refused
from reindexer.models import Attributes, Verb
from reindexer.planning.facts import Described
from reindexer.planning.sampling import Sampled


def check_index_types(attributes: Attributes, described: Described) -> None:
    """DynamoDB refuses each write of an index key of another type than declared. Raises `BadInput`."""
    types = {a["AttributeName"]: a["AttributeType"] for a in described.description["AttributeDefinitions"]}
    for field, name, written in (("version", attributes.version, "N"), ("run", attributes.run, "S")):
        for index, keys in described.index_keys.items():
            declared = types.get(name, written)
            if name in keys and declared != written:
                raise BadInput(
                    f"{name!r} is a key of index {index} of type {declared}, and a job writes it as {written}: "
                    "every write would be refused; choose another name",
                    f"attributes.{field}",
                )


def refused_by_indexes(found: Sampled, keys: IndexKeys) -> list[str]:
    """Warnings of records whose stored value an index does not take: it was added when they were there."""
    count: Counter[str] = Counter()
    whys: dict[str, str] = {}
    for item in found.items:
        for name, why in keys.refused(item):
            count[name] += 1
            whys.setdefault(name, why)
    return [
        f"{count[name]} of {found.rows} sampled records hold a value of {name} that its index does not take "
        f"({why}): where DynamoDB refuses to update such a record, it is quarantined as {INDEX_KEY}"
        for name, why in whys.items()
    ]


def check_reserved(found: Sampled, described: Described, *, allowed: bool) -> list[str]:
    """Items of a global table of version 2017 carry AWS's attributes; its description does not show it."""
    if not found.replicated:
        return []
    where = (
        f"in a sample of {found.rows} records of {described.table.table} {found.replicated} carry attributes "
        "named aws:rep:…, as those of a global table of version 2017.11.29 do"
    )
    if allowed:
        return [f"{where}: writes made in other Regions may overwrite this job's, or be overwritten, uncounted"]
    raise Refused(
        f"{where}: conditions hold in one Region only, so counts would not be exact; stop writes in the other "
        "Regions and set allow_multi_region",
        "MultiRegion",
    )


def check_not_replicas_of_one(first: Described, second: Described) -> None:
    """DynamoDB itself keeps replicas of a global table equal: a repair of one would be undone, or carried back.

    Raises `Refused`. Of other ways in which the second table may feed the first nothing can be seen.
    """
    if not (_has_replica(first, second.arn) or _has_replica(second, first.arn)):
        return
    raise Refused(
        f"{first.arn} and {second.arn} are replicas of one global table: DynamoDB carries what is written "
        "to one to the other, and removes from both what is removed from one; compare them with a lag instead",
        "OneGlobalTable",
    )


def _has_replica(described: Described, arn: str) -> bool:
    """Whether the other table is named as a replica: by its ARN, or by its Region beside the same name."""
    own, other = described.arn.split(":"), arn.split(":")  # arn:aws:dynamodb:REGION:ACCOUNT:table/NAME
    same_name = own[4:] == other[4:] and own[3] != other[3]
    replicas: Any = described.description.get("Replicas") or []
    return any(
        replica.get("ReplicaArn") == arn or (same_name and replica.get("RegionName") == other[3])
        for replica in replicas
    )


def check_replicas(described: Described, *, allowed: bool) -> list[str]:
    """Conditions hold in one Region only, unless the global table is strongly consistent."""
    description: Any = described.description
    own = described.facts.region
    others = [
        replica["RegionName"]
        for replica in description.get("Replicas") or []
        if replica.get("RegionName") not in (None, own)
    ]
    if not others or description.get("MultiRegionConsistency") == "STRONG":
        return []
    where = f"{described.table.table} is a global table with replicas in {', '.join(sorted(others))}"
    if allowed:
        return [f"{where}: writes made there meanwhile may overwrite this job's, or be overwritten, uncounted"]
    raise Refused(
        f"{where}: conditions hold in one Region only, so counts would not be exact; stop writes in the other "
        "Regions and set allow_multi_region",
        "MultiRegion",
    )


def check_attributes(attributes: Attributes, described: Described) -> list[str]:
    """Version and run must not be keys of the table; as an index's key each write costs more."""
    keys = [attribute.name for attribute in described.key]
    warnings = []
    for field, name in (("version", attributes.version), ("run", attributes.run)):
        if name in keys:
            raise BadInput(
                f"{name!r} is a key attribute of {described.table.table}, which cannot be changed; "
                "choose another name",
                f"attributes.{field}",
            )
        for index, index_keys in described.index_keys.items():
            if name in index_keys:
                warnings.append(
                    f"{name} is a key of index {index}: each write moves the record there too, "
                    "two index writes more"
                )
    return warnings


def followers_advice(verb: Verb, described: Described) -> list[str]:
    """A warning of a touch that nothing follows."""
    facts, table = described.facts, described.table.table
    if not verb.for_stream or facts.stream is not None or facts.kinesis:
        return []
    if described.kinesis_unknown:
        return [
            f"{table} has no stream, and whether it feeds a Kinesis data stream is not known "
            f"({described.kinesis_unknown}): perhaps nothing follows a touch"
        ]
    return [f"{table} has neither a stream nor a Kinesis destination: nothing follows a touch"]
