"""estimate: estimate duration and cost of a job before starting it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

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
from reindexer.models import Attributes, Limits, Touch, Uses, With, chosen
from reindexer.planning.capacity import capacity_of, uses_of
from reindexer.planning.estimate import ON_DEMAND, PROVISIONED, Estimate, EstimateInput, OtherReads, estimate
from reindexer.planning.estimate_comparison import estimate_comparison
from reindexer.planning.estimate_following import Following
from reindexer.planning.estimate_index import estimate_index
from reindexer.planning.estimate_repair import RepairInput, estimate_repair, estimate_replica
from reindexer.planning.facts import describe
from reindexer.settings import settings
from reindexer.words import count, duration, size, some

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
    backfill = bool(given.get("operation", {}).get("backfill"))
    doing = _checked(operation or ("repair" if backfill else None), second, wanted, backfill=backfill)
    if doing == "replicate" and (deletes or no_verify or records is not None):
        raise BadInput(
            "a replica is made of every record, and the table is not written", "--operation replicate"
        )
    if second is not None and (deletes or no_verify or (doing == "compare" and records is not None)):
        raise BadInput(f"leave out what says how a job writes or is verified: this one is a {doing}", "OTHER")
    if doing == "index" and (deletes or no_verify or records is not None):
        raise BadInput("an index is made of every record, and the table is not written", "--operation index")
    described = describe(table, make_client())
    reads_only = second is not None or doing in ("index", "replicate")
    uses = uses_of(Touch(), Attributes(), None, writes=not reads_only)
    capacity = capacity_of(described.description, uses)
    known = described.facts.model_copy(update=dict(capacity))
    listed = PROVISIONED if known.capacity_mode == "provisioned" else ON_DEMAND
    given_prices = {"write_units": write_price, "read_units": read_price, "actions": action_price}
    prices = listed.model_copy(
        update={name: price for name, price in given_prices.items() if price is not None}
    )
    if second is not None or doing == "replicate":
        # A replica that is not there yet is made as the table is.
        other = describe(second.table, other_client(second), "OTHER") if second else described
        writes = doing in ("repair", "replicate")
        its_capacity = capacity_of(other.description, Uses() if writes else uses)
        limits, _ = chosen(wanted, capacity, its_capacity, writes_other=writes)
        found = estimate_comparison(
            described.description, known, other.table.table, other.facts, limits, settings(), prices
        )
        if doing == "replicate":
            found = estimate_replica(found, other.description, settings())
        elif writes:
            found = estimate_repair(found, RepairInput(other.description, records, backfill), settings())
    elif doing == "index":
        limits, _ = chosen(wanted, capacity, writes_index=True)
        found = estimate_index(described.description, known, limits, settings(), prices)
    else:
        limits, _ = chosen(wanted, capacity)
        asked = EstimateInput(
            Attributes(), limits, records,
            verify=not no_verify, deletes=deletes, unstamp=doing == "unstamp",
        )  # fmt: skip
        found = estimate(described.description, known, asked, settings(), prices)
    if as_json:
        emit_json(found)
    else:
        say(Group(facts(_rows(found)), Text(), *(Text(f"! {note}", DIM) for note in found.notes)))


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
            raise BadInput("with which one? For example `reindexer estimate cities cities-eu`", "OTHER")
        return operation or "touch"
    if operation in ("touch", "unstamp", "index"):
        raise BadInput(f"{operation} works on one table alone", "OTHER")
    if backfill and operation == "compare":
        raise BadInput("goes with --operation repair", "--backfill")
    return operation or "compare"


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
    if found.operation == "replicate" and found.other is not None:
        yield from _copied(found, found.other)
    elif found.other is not None:
        yield from _of_two(found, found.other)
    elif found.operation == "index":
        yield from _read_only(found)
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
    if found.following is not None:
        yield from _following(found.following)
    prices = found.prices
    yield (
        "prices",
        (
            f"${prices.write_units:.3g} and ${prices.read_units:.3g} a million write and read units, "
            f"${prices.actions:.3g} a million Actions"
        ),
    )


def _writes(found: Estimate) -> Iterator[tuple[str, str]]:
    yield (
        "writes",
        f"{count(found.write_units)} units, {round(found.write_units_per_record, 2):g} a record"
        f" (at most {count(found.write_units_at_most)}), ${found.dollars['write']:,.2f}",
    )
    for index in found.indexes:
        yield "", f"of these {round(index.units, 2):g} a record for index {index.name}: {index.why}"


def _written(found: Estimate) -> Iterator[tuple[str, str]]:
    dollars, limits = found.dollars, found.limits
    yield from _writes(found)
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


def _read_only(found: Estimate) -> Iterator[tuple[str, str]]:
    """An index: the table is read once, consistently."""
    yield "writes", "none, of the table"
    yield "reads", f"{count(found.read_units)} units, ${found.dollars['read']:,.2f}"
    limit = found.limits.bytes_per_second
    sent = f", documents {size(int(limit))}/s" if isinstance(limit, float | int) else ""
    yield "limits", f"read {_rate(found.limits.read_units_per_second)}{sent}"
    yield "duration", f"{duration(found.work_seconds)}, limited by {found.bound}"


def _of_two(found: Estimate, other: OtherReads) -> Iterator[tuple[str, str]]:
    """A comparison, or a repair, which writes to the other table besides."""
    limits, repairs = found.limits, found.operation == "repair"
    yield "with", f"{other.table}, {some(other.items, 'item')}, {size(other.size_bytes)}"
    if repairs:
        yield "differing", some(found.records, "key")
        yield from _writes(found)
    units = f"{count(found.read_units)} units, of the other table {count(other.read_units)}"
    yield "reads", f"{units}, ${found.dollars['read']:,.2f}"
    rates = _rate(limits.read_units_per_second), _rate(limits.other_read_units_per_second)
    write = f", write {_rate(limits.write_units_per_second)}" if repairs else ""
    yield "limits", f"read {rates[0]}, of the other table {rates[1]}{write}"
    yield "duration", f"{duration(found.work_seconds)}, limited by {found.bound}"


def _copied(found: Estimate, other: OtherReads) -> Iterator[tuple[str, str]]:
    """A replica, which is filled."""
    made = " (made as the table is)" if other.table == found.table else ""
    yield "to", f"{'a replica' if made else other.table}{made}"
    yield from _writes(found)
    yield "reads", f"{count(found.read_units)} units, ${found.dollars['read']:,.2f}"
    rates = _rate(found.limits.read_units_per_second), _rate(found.limits.write_units_per_second)
    yield "limits", f"read {rates[0]}, write {rates[1]} there"
    yield "duration", f"{duration(found.work_seconds)}, limited by {found.bound}"


def _following(found: Following) -> Iterator[tuple[str, str]]:
    """What carrying changes costs, with `--follow`."""
    dollars = found.dollars
    yield (
        "following",
        f"a day: {count(found.stream_reads)} stream reads a stream shard, ${dollars['stream_reads']:,.2f}; "
        f"{count(found.actions)} Actions at rest, ${dollars['temporal_cloud']:,.2f}",
    )
    if found.write_units:
        yield "", f"a million changes: {count(found.write_units)} write units there, ${dollars['write']:,.2f}"


def _bytes(found: Estimate) -> str:
    return f"{count(found.item_bytes)} bytes on average"


def _rate(limit: float | str | None) -> str:
    return f"{limit:g}/s" if isinstance(limit, float | int) else "unlimited"
