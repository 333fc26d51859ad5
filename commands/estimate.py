"""estimate: estimate duration and cost of a job before starting it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, TypeAlias

import typer
from pydantic import ValidationError

from commands.input.fields import Fields, Given
from commands.input.json_only import emit_json
from commands.input.options import AsJson
from commands.rendering.estimate import estimate_text
from commands.rendering.screen import say
from reindexer.dynamo.client import make_client
from reindexer.dynamo.other_table import other_client
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.models import Attributes, Limits, TableFacts, Touch, Uses, With, chosen
from reindexer.planning.capacity import capacity_of, uses_of
from reindexer.planning.estimate import ON_DEMAND, PROVISIONED, Estimate, EstimateInput, Prices, estimate
from reindexer.planning.estimate_comparison import estimate_comparison
from reindexer.planning.estimate_index import estimate_index
from reindexer.planning.estimate_repair import RepairInput, estimate_repair, estimate_replica
from reindexer.planning.facts import Described, describe
from reindexer.settings import settings

_Operation: TypeAlias = Literal["touch", "unstamp", "compare", "repair", "index", "replicate"]
#: Dollars of a million of anything; more is a typing error.
_MAX_PRICE = 1e6
#: A second table, and all limits but the number of quarantined records, which an estimate has no use for.
_FIELDS = Fields(
    "operation.with.table",
    "operation.with.region",
    "operation.with.endpoint",
    "operation.with.role_arn",
    "operation.with.external_id",
    "operation.backfill",
    "limits.read_units_per_second",
    "limits.other_read_units_per_second",
    "limits.write_units_per_second",
    "limits.records_per_second",
    "limits.bytes_per_second",
    "limits.shards_in_flight",
)


def estimate_job(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table's name or ARN.")],
    given: Annotated[Given, _FIELDS],
    operation: Annotated[
        _Operation | None,
        typer.Option("--operation", help="What it does; default: touch, and compare with OTHER."),
    ] = None,
    records: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Records to write; default: all, and of a repair as many as the tables' counts differ by.",
        ),
    ] = None,
    changes: Annotated[
        int | None,
        typer.Option(
            "--changes-per-day", min=0, metavar="N", help="Changes of the table, which a replica follows."
        ),
    ] = None,
    deletes: Annotated[
        bool, typer.Option("--deletes", help="Assume that the job may delete: it reads consistently.")
    ] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Leave out the verification.")] = False,
    write_price: Annotated[
        float | None,
        typer.Option(min=0, max=_MAX_PRICE, metavar="DOLLARS", help="Price of a million write units."),
    ] = None,
    read_price: Annotated[
        float | None,
        typer.Option(min=0, max=_MAX_PRICE, metavar="DOLLARS", help="Price of a million read units."),
    ] = None,
    action_price: Annotated[
        float | None,
        typer.Option(
            min=0, max=_MAX_PRICE, metavar="DOLLARS", help="Price of a million Temporal Cloud Actions."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate units, duration, Temporal Actions and dollars of a job. Reads no record and writes none.

    Counts are those of DescribeTable, up to six hours old. Prices are those of us-east-1 unless you give yours.
    """
    wanted = _limits(given)
    second = _second(given)
    backfill = bool(given.get("operation", {}).get("backfill"))
    doing = _checked(operation or ("repair" if backfill else None), second, wanted, backfill=backfill)
    how = [deletes, no_verify, records is not None]
    if doing in ("replicate", "index") and any(how):
        what = "a replica" if doing == "replicate" else "an index"
        raise BadInput(f"{what} is made of every record, and the table is not written", f"--operation {doing}")
    if second is not None and any(how if doing == "compare" else how[:2]):
        raise BadInput(f"leave out what says how a job writes or is verified: this one is a {doing}", "OTHER")
    if doing != "replicate" and changes is not None:
        raise BadInput("needs --operation replicate", "--changes-per-day")
    given_prices = {"write_units": write_price, "read_units": read_price, "actions": action_price}
    own_prices = {name: price for name, price in given_prices.items() if price is not None}
    described = describe(table, make_client())
    if second is not None or doing == "replicate":
        # A replica that is not there yet is made as the table is.
        other = describe(second.table, other_client(second), "OTHER") if second else described
        found = _of_two(doing, described, other, wanted, own_prices)
        if doing == "replicate":
            found = estimate_replica(found, other.description, settings(), changes)
        elif doing == "repair":
            found = estimate_repair(found, RepairInput(other.description, records, backfill), settings())
    else:
        asked = EstimateInput(
            Attributes(), wanted, records, verify=not no_verify, deletes=deletes, unstamp=doing == "unstamp"
        )
        found = _of_one(doing, described, asked, own_prices)
    if as_json:
        emit_json(found)
    else:
        say(estimate_text(found))


def _of_two(
    doing: _Operation, described: Described, other: Described, wanted: Limits, own_prices: dict[str, float]
) -> Estimate:
    """Of reading both."""
    writes = doing in ("repair", "replicate")
    uses = uses_of(Touch(), Attributes(), None, writes=False)
    capacity = capacity_of(described.description, uses)
    its_capacity = capacity_of(other.description, Uses() if writes else uses)
    limits, _ = chosen(wanted, capacity, its_capacity, writes_other=writes)
    known = described.facts.model_copy(update=dict(capacity))
    prices = _prices(known, own_prices)
    return estimate_comparison(
        described.description, known, other.table.table, other.facts, limits, settings(), prices
    )


def _of_one(
    doing: _Operation, described: Described, asked: EstimateInput, own_prices: dict[str, float]
) -> Estimate:
    """Of a job that reads, or writes, the table alone."""
    indexes = doing == "index"
    capacity = capacity_of(described.description, uses_of(Touch(), Attributes(), None, writes=not indexes))
    known = described.facts.model_copy(update=dict(capacity))
    limits, _ = chosen(asked.limits, capacity, writes_index=indexes)
    prices = _prices(known, own_prices)
    if indexes:
        return estimate_index(described.description, known, limits, settings(), prices)
    return estimate(described.description, known, replace(asked, limits=limits), settings(), prices)


def _prices(known: TableFacts, own: dict[str, float]) -> Prices:
    """The list prices of the table's capacity mode, and in their place one's own."""
    listed = PROVISIONED if known.capacity_mode == "provisioned" else ON_DEMAND
    return listed.model_copy(update=own)


def _limits(given: Given) -> Limits:
    try:
        return Limits.model_validate(given.get("limits", {}))
    except ValidationError as error:
        raise BadInput(f"limits.{explain(error)}") from None


def _checked(
    operation: _Operation | None, second: With | None, limits: Limits, *, backfill: bool
) -> _Operation:
    """What is estimated. Raises `BadInput` where that does not go with a second table, or without one."""
    if operation != "index" and limits.bytes_per_second is not None:
        raise BadInput("only an index sends documents", "--bytes-per-second")
    if operation == "index" and limits.write_units_per_second is not None:
        raise BadInput("an index writes nothing to the table", "--write-units")
    if operation == "replicate":
        if backfill or limits.other_read_units_per_second is not None:
            what = "--backfill" if backfill else "--other-read-units"
            raise BadInput("a replica is written, and neither compared nor repaired", what)
        return operation
    if second is None:
        if limits.other_read_units_per_second is not None:
            raise BadInput("only a comparison and a repair read a second table: name it", "--other-read-units")
        if operation in ("compare", "repair"):
            raise BadInput("is missing; for example `reindexer estimate cities cities-eu`", "OTHER")
        return operation or "touch"
    if operation in ("touch", "unstamp", "index"):
        raise BadInput(f"{operation} works on one table alone", "OTHER")
    if backfill and operation == "compare":
        raise BadInput("needs --operation repair", "--backfill")
    return operation or "compare"


def _second(given: Given) -> With | None:
    """The second table that options name."""
    fields = given.get("operation", {}).get("with")
    if fields is None:
        return None
    if "table" not in fields:
        raise BadInput("is missing; for example `reindexer estimate cities cities-eu`", "OTHER")
    try:
        return With.model_validate(fields)
    except ValidationError as error:
        raise BadInput(f"operation.with.{explain(error)}") from None
