"""Values that an index cannot take as its key are refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reindexer.errors import RecordFailed
from reindexer.items import Write
from reindexer.jobs.deciding import Decider
from reindexer.models import IndexKey
from reindexer.values import wire_item
from tests.written_jobs import write_job

SET = """
    def transform(item, params):
        return Update(set={"g": item["new"]})
"""


def decided(folder: Path, new: Any, *keys: IndexKey) -> Any:
    job = write_job(folder, SET)
    types = {key.name: key.type for key in keys}
    decide = Decider(job, job.parameters({}), keys=["id"], index_keys=types, indexes=keys)
    return decide(wire_item({"id": "a", "new": new}))


def key(kind: Any = "S", *, partition: bool = True, index: str = "by-g") -> IndexKey:
    return IndexKey(index=index, name="g", type=kind, partition=partition)


@pytest.mark.parametrize(
    ("keys", "new", "sentence"),
    [
        ([key()], "x" * 2049, "g: 2,049 bytes, above the 2,048 of a partition key of index by-g"),
        ([key()], "\u00e4" * 1025, "g: 2,050 bytes, above the 2,048"),
        ([key("B")], b"x" * 2049, "g: 2,049 bytes"),
        ([key(partition=False)], "x" * 1025, "g: 1,025 bytes, above the 1,024 of a sort key of index by-g"),
        ([key(), key(partition=False, index="of-g")], "x" * 1025, "a sort key of index of-g"),
        ([key()], "", "g: a key of index by-g cannot be empty"),
        ([key("B")], b"", "g: a key of index by-g cannot be empty"),
        ([key()], 7, "g: a key of index by-g, of type S, not N"),
        ([key("N")], "7", "g: a key of index by-g, of type N, not S"),
        ([key()], None, "g: a key of index by-g, of type S, not NULL"),
        ([key()], {"a": 1}, "g: a key of index by-g, of type S, not M"),
    ],
)
def test_it_is_a_failure_class_of_its_own(
    tmp_path: Path, keys: list[IndexKey], new: Any, sentence: str
) -> None:
    with pytest.raises(RecordFailed) as refused:
        decided(tmp_path, new, *keys)
    assert refused.value.code == "IndexKey"
    assert sentence in refused.value.message


@pytest.mark.parametrize(
    ("keys", "new"),
    [
        ([key()], "x" * 2048),
        ([key(partition=False)], "x" * 1024),
        ([key("B")], b"x" * 2048),
        ([key("N")], 0),
        ([], "x" * 2049),
    ],
)
def test_what_an_index_can_take_is_written(tmp_path: Path, keys: list[IndexKey], new: Any) -> None:
    assert isinstance(decided(tmp_path, new, *keys), Write)
