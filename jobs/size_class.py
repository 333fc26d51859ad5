"""Give each city of the GeoNames data a size class and its country's name, derived from what is there.

Search and display want words, `population` and `countrycode` are numbers and letters.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from reindexer import Attr, Condition, Params, Skip, Update

#: From how many inhabitants a place is called what, largest first.
CLASSES = ((1_000_000, "metropolis"), (100_000, "city"), (15_000, "town"), (0, "village"))
COUNTRIES = {
    "AT": "Austria", "BR": "Brazil", "CH": "Switzerland", "CN": "China", "DE": "Germany", "ES": "Spain",
    "FR": "France", "GB": "United Kingdom", "IN": "India", "IT": "Italy", "JP": "Japan", "MX": "Mexico",
    "US": "United States",
}  # fmt: skip


class Names(Params):
    """`countries` adds to the names this file knows, or replaces them."""

    countries: dict[str, str] = Field(default_factory=dict)


def query(params: Names) -> Condition:  # noqa: ARG001
    """Places of which both are known."""
    return Attr("population").gte(0) & Attr("countrycode").exists()


def transform(item: Mapping[str, Any], params: Names) -> Update | Skip:
    """Both attributes; a country without a name keeps its code."""
    code = item["countrycode"]
    names = {**COUNTRIES, **params.countries}
    size = next(name for least, name in CLASSES if item["population"] >= least)
    return Update(set={"size_class": size, "country_name": names.get(code, code)})
