"""What people write today to keep an index in step: poll the stream, send each change by itself, as Lambdas do.

    python -m evidence.benchmarks.one_by_one STREAM URL INDEX CHANGES

boto3 and opensearch-py as their documentation shows them: pages of 1,000 records, one `index` or `delete` for
each, in order, without a version. Prints the seconds that the changes took, without the start.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from opensearchpy import OpenSearch

from evidence.benchmarks.tables import KEY

_PAGE = 1000  # records: DynamoDB's most
_plain = TypeDeserializer().deserialize


def main() -> None:
    """The script. Raises where a document is refused."""
    stream, url, index, changes = sys.argv[1:]
    client = OpenSearch([url], timeout=60)  # seconds for a request: no one else is to decide what is slow
    client.indices.create(index=index)
    streams: Any = boto3.client("dynamodbstreams")
    [shard] = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    where = {"StreamArn": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = streams.get_shard_iterator(**where)["ShardIterator"]
    began, left = time.monotonic(), int(changes)
    while left > 0:
        answer = streams.get_records(ShardIterator=iterator, Limit=min(_PAGE, left))
        for record in answer["Records"]:
            _carry(client, index, record["dynamodb"])
        left -= len(answer["Records"])
        iterator = answer["NextShardIterator"]
    print(time.monotonic() - began)


def _carry(client: OpenSearch, index: str, change: dict[str, Any]) -> None:
    name = change["Keys"][KEY]["S"]
    if "NewImage" in change:
        document = {field: _plain(value) for field, value in change["NewImage"].items()}
        client.index(index=index, id=name, body=document)
    else:
        client.delete(index=index, id=name, ignore=404)


if __name__ == "__main__":
    main()
