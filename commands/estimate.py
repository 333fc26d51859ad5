"""estimate: estimate duration and cost of a job before starting it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import typer
from pydantic import ValidationError
from rich.console import Group
from rich.text import Text

from commands.input.fields import Fields, Given
from commands.input.json_only import emit_json
from commands.input.options import AsJson
from commands.rendering.screen import DIM, facts, say
from reindexer.dynamo.client import make_client
from reindexer.dynamo.others import other_client
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.models import Attributes, Limits, Touch, With, chosen
from reindexer.planning.capacity import capacity_of, uses_of
from reindexer.planning.estimate import ON_DEMAND, PROVISIONED, Estimate, EstimateInput, OtherReads, estimate
from reindexer.planning.estimate_comparison import estimate_comparison
from reindexer.planning.facts import describe
from reindexer.settings import settings
from reindexer.words import count, duration, size, some

#: Dollars of a million of anything; more is a typing error.
_MAX_PRICE = 1e6
#: A second table, and all limits but the number of quarantined records, which an estimate has no use for.
_FIELDS = Fields(
    "operation.with.table",
    "operation.with.region",
    "operation.with.endpoint",
    "operation.with.role_arn",
    "operation.with.external_id",
    "limits.read_units_per_second",
    "limits.other_read_units_per_second",
    "limits.write_units_per_second",
    "limits.records_per_second",
    "limits.shards_in_flight",
)


def estimate_job(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table's name or ARN.")],
    given: Annotated[Given, _FIELDS],
    operation: Annotated[
        Literal["touch", "unstamp"],
        typer.Option("--operation", help="What it does; with OTHER it compares."),
    ] = "touch",
    records: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Records to write; default: all.")
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
    try:
        wanted = Limits.model_validate(given.get("limits", {}))
    except ValidationError as error:
        raise BadInput(f"limits.{explain(error)}") from None
    second = _second(given)
    if second is None and wanted.other_read_units_per_second is not None:
        raise BadInput("only a comparison reads a second table: name it", "--other-read-units")
    if second is not None and (operation != "touch" or records is not None or deletes or no_verify):
        raise BadInput("a comparison writes nothing and is not verified: leave out what is about that", "OTHER")
    described = describe(table, make_client())
    uses = uses_of(Touch(), Attributes(), None, writes=second is None)
    capacity = capacity_of(described.description, uses)
    known = described.facts.model_copy(update=dict(capacity))
    listed = PROVISIONED if known.capacity_mode == "provisioned" else ON_DEMAND
    given_prices = {"write_units": write_price, "read_units": read_price, "actions": action_price}
    prices = listed.model_copy(
        update={name: price for name, price in given_prices.items() if price is not None}
    )
    if second is not None:
        other = describe(second.table, other_client(second), "OTHER")
        limits, _ = chosen(wanted, capacity, capacity_of(other.description, uses))
        found = estimate_comparison(
            described.description, known, other.table.table, other.facts, limits, settings(), prices
        )
    else:
        limits, _ = chosen(wanted, capacity)
        asked = EstimateInput(
            Attributes(), limits, records,
            verify=not no_verify, deletes=deletes, unstamp=operation == "unstamp",
        )  # fmt: skip
        found = estimate(described.description, known, asked, settings(), prices)
    if as_json:
        emit_json(found)
    else:
        say(Group(facts(_rows(found)), Text(), *(Text(f"! {note}", DIM) for note in found.notes)))


def _second(given: Given) -> With | None:
    """The second table that options name."""
    fields = given.get("operation", {}).get("with")
    if fields is None:
        return None
    if "table" not in fields:
        raise BadInput("which one? For example `reindexer estimate cities cities-eu`", "OTHER")
    try:
        return With.model_validate(fields)
    except ValidationError as error:
        raise BadInput(f"operation.with.{explain(error)}") from None


def _rows(found: Estimate) -> Iterator[tuple[str, str]]:
    dollars, actions = found.dollars, found.actions
    yield "table", f"{found.table}, {some(found.items, 'item')}, {size(found.size_bytes)}, {_bytes(found)}"
    if found.other is not None:
        yield from _compared(found, found.other)
    else:
        yield from _written(found)
    yield (
        "Temporal",
        (
            f"{some(found.actions_total, 'Action')}: {count(actions.heartbeats)} heartbeats, "
            f"{count(actions.rounds)} of rounds, {count(actions.shards)} of {found.shards} shards, "
            f"{count(actions.looks + actions.job)} of the job; "
            f"${dollars['temporal_cloud']:,.2f} on Temporal Cloud"
        ),
    )
    prices = found.prices
    yield (
        "prices",
        (
            f"${prices.write_units:.3g} and ${prices.read_units:.3g} a million write and read units, "
            f"${prices.actions:.3g} a million Actions"
        ),
    )


def _written(found: Estimate) -> Iterator[tuple[str, str]]:
    dollars, limits = found.dollars, found.limits
    yield (
        "writes",
        f"{count(found.write_units)} units, {round(found.write_units_per_record, 2):g} a record"
        f" (at most {count(found.write_units_at_most)}), ${dollars['write']:,.2f}",
    )
    for index in found.indexes:
        yield "", f"of these {round(index.units, 2):g} a record for index {index.name}: {index.why}"
    if found.ledger_write_units:
        yield (
            "",
            f"and {count(found.ledger_write_units)} of the ledger, at the same price and in the sum",
        )
    yield (
        "reads",
        f"{count(found.read_units)} units, verification {count(found.verify_units)}, ${dollars['read']:,.2f}",
    )
    rates = _rate(limits.read_units_per_second), _rate(limits.write_units_per_second)
    yield "limits", f"read {rates[0]}, write {rates[1]}"
    work, verification = duration(found.work_seconds), duration(found.verify_seconds)
    yield "duration", f"{work}, limited by {found.bound}; verification {verification}"


def _compared(found: Estimate, other: OtherReads) -> Iterator[tuple[str, str]]:
    limits = found.limits
    yield "with", f"{other.table}, {some(other.items, 'item')}, {size(other.size_bytes)}"
    units = f"{count(found.read_units)} units, of the other table {count(other.read_units)}"
    yield "reads", f"{units}, ${found.dollars['read']:,.2f}"
    rates = _rate(limits.read_units_per_second), _rate(limits.other_read_units_per_second)
    yield "limits", f"read {rates[0]}, of the other table {rates[1]}"
    yield "duration", f"{duration(found.work_seconds)}, limited by {found.bound}"


def _bytes(found: Estimate) -> str:
    return f"{count(found.item_bytes)} bytes on average"


def _rate(limit: float | str | None) -> str:
    return f"{limit:g}/s" if isinstance(limit, float | int) else "unlimited"
