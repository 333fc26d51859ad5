"""What people write today to fill a search index: a scan by boto3, opensearch-py's `parallel_bulk`.

    python -m evidence.benchmarks.bulk TABLE URL INDEX MAPPING

As the libraries' documentation shows it: the resource's Python values, 4 threads, 500 documents a request.
While it is filled the index neither refreshes nor has copies. Prints how many documents it holds at the end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from opensearchpy import OpenSearch, helpers

from evidence.benchmarks.tables import KEY

_FILLING = {"refresh_interval": "-1", "number_of_replicas": 0}
_READY = {"refresh_interval": None}


def main() -> None:
    """The script. Raises where a document is refused."""
    table, url, index, mapping = sys.argv[1:]
    client = OpenSearch([url], timeout=60)  # seconds for a request: no one else is to decide what is slow
    mappings = json.loads(Path(mapping).read_text())
    client.indices.create(index=index, body={"settings": {"index": _FILLING}, "mappings": mappings})
    for _ in helpers.parallel_bulk(client, _actions(table, index), raise_on_error=True):
        pass
    client.indices.put_settings(index=index, body={"index": _READY})
    client.indices.refresh(index=index)
    print(client.count(index=index)["count"])


def _actions(name: str, index: str) -> Iterator[dict[str, Any]]:
    table = boto3.resource("dynamodb").Table(name)
    start: dict[str, Any] = {}
    while True:
        page = table.scan(ConsistentRead=True, **start)
        for item in page["Items"]:
            yield {"_index": index, "_id": item[KEY], "_source": item}
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


if __name__ == "__main__":
    main()
