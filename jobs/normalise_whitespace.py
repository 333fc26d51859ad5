"""Take superfluous white space out of text: none at the ends, one space between words.

Text attributes are named, or all of the item's own are taken. Line breaks are white space too.
"""

from collections.abc import Mapping
from typing import Any

from reindexer import Params, Skip, Update


class Fields(Params):
    """`attributes` empty: every attribute that is text, keys left out."""

    attributes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ("id",)  # what never changes: the key of the table and of its indexes


def transform(item: Mapping[str, Any], params: Fields) -> Update | Skip:
    """What differs after tidying. Text that would end up empty is left as it is."""
    names = params.attributes or [name for name in item if name not in params.keys]
    tidy = {}
    for name in names:
        value = item.get(name)
        if isinstance(value, str) and value.split():
            tidy[name] = " ".join(value.split())
    return Update(set=tidy)
