"""Which records of the table a job is about."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt, StrictStr, model_validator

from reindexer.models.model import Asked
from reindexer.models.option import Option


class Complete(Asked):
    """The whole table, as a parallel scan."""

    kind: Literal["complete"] = "complete"


class Sample(Asked):
    """Exactly min(limit, rows of the table) records, for a first try."""

    kind: Literal["sample"]
    limit: Annotated[
        int,
        Field(ge=1, le=1_000_000),  # above a million it is no sample: one shard reads it
        Option("--sample", "Only N records, for a first try.", "N"),
    ] = 10


class Keys(Asked):
    """Named records. Each key holds the table's key attributes: N as string or integer, B as base64.

    `values` instead of `keys`: of a table whose key is one attribute, its values.
    """

    kind: Literal["keys"]
    # 10,000 keys are about 1 MB of JSON, half of what one Temporal payload may hold.
    # Strict: 1.0 and true would otherwise pass for the integer 1.
    keys: Annotated[
        Annotated[list[dict[str, StrictStr | StrictInt]], Field(min_length=1, max_length=10_000)] | None,
        Option(
            "--keys",
            "Only the keys in this file: a JSON list, or one per line: a JSON object, or the value of a key "
            "that has one attribute; - is stdin.",
            "FILE",
            "--keys-from",
        ),
    ] = None
    values: Annotated[list[StrictStr | StrictInt], Field(min_length=1, max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Keys:
        if (self.keys is None) == (self.values is None):
            raise ValueError('needs "keys", a list of objects; or "values", of a key with one attribute')
        return self


class SortKey(Asked):
    """Exactly one condition on the sort key, named as boto3 names it. Bounds of `between` are both included."""

    eq: StrictStr | StrictInt | None = None
    lt: StrictStr | StrictInt | None = None
    lte: StrictStr | StrictInt | None = None
    gt: StrictStr | StrictInt | None = None
    gte: StrictStr | StrictInt | None = None
    begins_with: StrictStr | None = None
    between: Annotated[list[StrictStr | StrictInt], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _one(self) -> SortKey:
        given = [name for name in SortKey.model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"must be exactly one of {', '.join(SortKey.model_fields)} "
                f"(given: {', '.join(given) or 'none'})"
            )
        return self


class Partitions(Asked):
    """All records of the named partition key values, of the table or of an index."""

    kind: Literal["partitions"]
    #: Of the partition key's type: N as string or integer, B as base64. As many as `keys` may name.
    values: Annotated[
        list[StrictStr | StrictInt],
        Field(min_length=1, max_length=10_000),
        Option("--partition", "Only records with this partition key value. Can be repeated.", "VALUE"),
        Option(
            "--partitions-from", "The same from a file: one value per line, or a JSON list; - is stdin.", "FILE"
        ),
    ]
    sort_key: Annotated[
        SortKey | None,
        Option(
            "--sort-key",
            "Only records of these partitions that match, such as begins_with=2024- or between=[3,9], or JSON.",
            "OP=VALUE",
        ),
    ] = None
    index: Annotated[
        Annotated[str, Field(min_length=1, max_length=255)] | None,  # 255: DynamoDB's longest name
        Option("--index", "Index to which the partition key values belong.", "NAME"),
    ] = None


class Quarantined(Asked):
    """A redrive: the records that an earlier run gave up, at that run's target."""

    kind: Literal["quarantined"]
    job: Annotated[str, Field(min_length=1)]
    run: Annotated[str, Field(min_length=1)]
    error: str | None = None  # only this error class
    keys: list[dict[str, StrictStr | StrictInt]] | None = None  # only these


Scope = Annotated[Complete | Sample | Keys | Partitions | Quarantined, Field(discriminator="kind")]
