"""What the demo of a search index observes from outside: both fault proxies, and an independent comparison."""

from __future__ import annotations

from collections import Counter

import boto3
from rich.console import Group, RenderableType
from rich.text import Text

from commands.rendering.screen import BAD, GOOD, facts
from commands.running.confirmed import faults_of
from reindexer.models import Indexed, Report
from reindexer.settings import aws_region
from reindexer.tally import Outcome
from reindexer.words import count, some
from testbed.cities import TABLE
from testbed.faults import Truth
from testbed.faults.search import SearchTruth
from testbed.faults.search.plan import ITEMS
from testbed.judge_index import differences


def confirmed_index(
    report: Report, url: str, table: Truth | None, search: SearchTruth | None
) -> tuple[bool, RenderableType]:
    """Whether proxy and comparison agree with the report, and what they saw; None: no proxy is there."""
    assert report.index is not None, "an index that was not checked is not complete"
    lines: list[tuple[str, RenderableType]] = []
    if table is not None and (faults := faults_of(table)):
        lines.append(("table", faults))
    good = True
    if search is not None:
        if search.injected:
            lines.append(("index", _faults(search)))
        good, written = _accepted(report, report.index, search)
        lines.append(("OpenSearch", Text(written, GOOD if good else BAD)))
    found = compared(url, report.index.alias)
    equal = not found.total()
    said = "each has its document, and no document is left over"
    if not equal:
        said = ", ".join(f"{count(number)} {kind}" for kind, number in sorted(found.items()))
    lines.append(("compared", Text(f"by an independent reader of both: {said}", GOOD if equal else BAD)))
    sentence = f"{some(report.tally[Outcome.UPDATED], 'record')} indexed"
    good = good and equal
    return good, Group(facts(lines), Text(), Text(sentence, f"bold {GOOD if good else BAD}"))


def compared(url: str, alias: str) -> Counter[str]:
    """How many keys of the cities differ from what readers of the alias find, by kind."""
    client = boto3.client("dynamodb", region_name=aws_region())
    return Counter(found.kind for found in differences(client, TABLE, url, alias))


def _accepted(report: Report, index: Indexed, truth: SearchTruth) -> tuple[bool, str]:
    """Whether each document was accepted once, by the name under which this run writes."""
    documents = truth.indexes.get(f"{index.index}-write", {}).values()
    times = Counter(len(document.accepted) for document in documents)
    written, twice = times.total() - times[0], times.total() - times[0] - times[1]
    good = written == report.tally[Outcome.UPDATED] and not twice and not truth.unread
    return good, (
        f"by the proxy's count {some(written, 'document')} written, {count(twice) if twice else 'none'} twice"
    )


def _faults(truth: SearchTruth) -> str:
    items = sum(number for kind, number in truth.injected.items() if kind in ITEMS)
    whole = sum(truth.injected.values()) - items
    return (
        f"{count(whole)} of {some(sum(truth.calls.values()), 'request')} failed, "
        f"and {some(items, 'document')} of others"
    )
