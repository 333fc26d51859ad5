"""Rewrite RFC 3339 dates as RFC 822, in documents that were modified before a cut-off.

An importer once stored `2015-03-01T12:00:00Z` where every reader expects `Sun, 01 Mar 2015 12:00:00 +0000`.
It was fixed on a known day; what was modified since is right.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from reindexer import Attr, Condition, Params, Skip, Update


class Cutoff(Params):
    """Which documents, and which of their attributes."""

    modified_before: datetime
    attribute: str = "published"
    modified: str = "modified"


def query(params: Cutoff) -> Condition:
    """Documents from before the cut-off that have the attribute. RFC 3339 in UTC sorts as text."""
    before = params.modified_before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Attr(params.modified).lt(before) & Attr(params.attribute).exists()


def transform(item: Mapping[str, Any], params: Cutoff) -> Update | Skip:
    """The date in its new form. One that is in it already is left alone."""
    text = item[params.attribute]
    if "," in text:  # RFC 822 begins with the day of the week
        return Skip("already RFC 822")
    return Update(set={params.attribute: format_datetime(datetime.fromisoformat(text))})
