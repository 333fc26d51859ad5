"""The part of a plan that is about the table's stream: its positions, taken before anything is read."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from reindexer.answers import Action, CallFailed, Failure
from reindexer.errors import BadInput, EnvironmentFault, Refused, Unavailable
from reindexer.ledger import Ledger
from reindexer.models import Lineages, PlanInput, Source
from reindexer.models.streams import Listing
from reindexer.planning.asking import denied
from reindexer.planning.facts import Described
from reindexer.streams.client import StreamCalls, make_streams_client
from reindexer.streams.lineages import opening, seems_to_lack_shards
from reindexer.streams.listing import describe
from reindexer.throttle import backoff

#: Shards that follow: each is a round that never ends, and reads its lineages in turn, a page of up to 1,000
#: changes at a time. Two share the work of a busy stream among processes; idle ones cost a slot and heartbeats.
_SHARDS, _MAX_SHARDS = 2, 8
#: Stream shards that one of them reads, at 10 ms each: a turn takes a second, as long as a wait in between.
_STREAM_SHARDS_EACH = 100
_TRIES = 8  # of a listing that fails or lacks a page: some ten seconds


def follow_sources(
    request: PlanInput,
    described: Described,
    ledger: Ledger,
    place: tuple[str, int],
    name: str,
    scanned: Sequence[Source],
    region: str | None,
) -> list[Source]:
    """Lineages first, then what is scanned; of a follow that goes on nothing is.

    `place`: destination and epoch, by which the ledger keeps positions; `name`: the destination's, for people.

    Raises `BadInput`, `Refused`, `EnvironmentFault`.
    """
    if not request.resumes:
        return [*plan_lineages(described, region), *scanned]
    kept = list(ledger.positions.of(*place))
    if not kept:
        raise Refused(f"the ledger has no positions of {name}: begin with a backfill", "NoPositions")
    if not ledger.positions.was_scanned(*place):
        raise Refused(
            f"the scan for {name} never came to its end, so that changes alone would not complete it: "
            "begin with a backfill",
            "NotScanned",
        )
    stream = described.description.get("LatestStreamArn")
    if {arn for arn, _ in kept} != {stream}:
        raise Refused(
            f"{described.table.table} has another stream now, {stream}: what changed between the two is lost; "
            "begin with a backfill",
            "StreamReplaced",
        )
    return [lineages for _, lineages in kept]


def positions_of(
    request: PlanInput, described: Described, sources: Sequence[Source], region: str | None
) -> tuple[list[Lineages], list[str]]:
    """(where a follow of the index may begin later, warnings). A stream that cannot be listed fails no job."""
    if request.resumes or described.facts.stream is None:
        return [], []
    if request.follows:
        return [source for source in sources if isinstance(source, Lineages)], []
    try:
        return plan_lineages(described, region), []
    except (Refused, EnvironmentFault) as error:
        return [], [f"the table cannot be followed later without another scan: {error}"]


def plan_lineages(described: Described, region: str | None) -> list[Lineages]:
    """Sources of all lineages of the table's stream. Raises `BadInput`, `Refused`, `EnvironmentFault`."""
    name, facts = described.table.table, described.facts
    if facts.stream is None:
        raise BadInput(
            f"{name} has no stream to follow; enable one: aws dynamodb update-table --table-name {name} "
            "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
            "table",
        )
    arn = described.description["LatestStreamArn"]
    calls = StreamCalls(make_streams_client(region=region), arn)
    state = opening(_listing(calls))
    reading = sorted(state.reading.items())
    number = min(_MAX_SHARDS, max(_SHARDS, math.ceil(len(reading) / _STREAM_SHARDS_EACH)), max(1, len(reading)))
    return [
        Lineages(
            stream_arn=arn,
            opened_at=state.opened_at,
            reading=dict(reading[first::number]),
            passed=[] if first else state.passed,
        )
        for first in range(number)
    ]


def without_passed(sources: Sequence[Source]) -> list[Source]:
    """The sources as shards have them: what was left to the scan is in the ledger, and need not travel."""
    return [
        source.model_copy(update={"passed": []}) if isinstance(source, Lineages) else source
        for source in sources
    ]


def images_missing(described: Described, *, copies: bool) -> list[str]:
    """A warning where changes come without what they have made of a record, or of, which `copies` uses."""
    view = described.facts.stream
    costs = []
    if view in ("OLD_IMAGE", "KEYS_ONLY"):
        costs.append("each changed record is read consistently, one read unit for each 4 KB")
    if copies and view in ("NEW_IMAGE", "KEYS_ONLY"):
        costs.append("changes are written one by one, not 25 a call")
    if not costs:
        return []
    wanted = "NEW_AND_OLD_IMAGES" if copies else "new images"
    return [f"the stream carries {view}, not {wanted}: {', and '.join(costs)}; another view is another stream"]


def _listing(calls: StreamCalls) -> Listing:
    """A complete listing without gaps that a moment more may close."""
    failure = Failure("Incomplete", "DescribeStream listed a part of the stream", Action.RETRY)
    for tried in range(1, _TRIES + 1):
        try:
            found = describe(calls)
        except CallFailed as failed:
            failure = failed.failure
            if failure.denied:
                raise denied(["dynamodb:DescribeStream"], calls.arn) from failed
            if failure.action not in (Action.WAIT, Action.RETRY):
                raise EnvironmentFault(failure.code, failure.message) from failed
        else:
            if found.listing.complete and not (tried < 3 and seems_to_lack_shards(found.listing)):
                if not found.enabled:
                    raise Refused(f"the stream {calls.arn} is being switched off", "StreamDisabled")
                return found.listing
        time.sleep(backoff(tried))
    raise Unavailable(failure.code, f"DescribeStream of {calls.arn}: {failure.message}")
