"""A table with a stream behind the fault proxy, whose stream is served as lineages."""

from __future__ import annotations

from typing import Any

from reindexer.streams.client import make_streams_client
from testbed.faults import FaultProxy
from testbed.faults.lineages.control import LineageControl
from tests.tables import Table


class Streamed:
    """Writes to the table, and boto3's calls on its stream."""

    def __init__(self, proxy: FaultProxy, table: Table) -> None:
        about = table.client.describe_table(TableName=table.name)["Table"]
        self.proxy, self.table, self.arn = proxy, table, about["LatestStreamArn"]
        self.client = make_streams_client(endpoint=proxy.endpoint_url)
        self.control: LineageControl = proxy.lineages(self.arn)
        self._written = 0

    def write(self, times: int, keys: int = 7) -> None:
        """Puts numbers that rise, into one item after another of that many."""
        for _ in range(times):
            self._written += 1
            key = {"id": {"S": f"k{self._written % keys}"}}
            self.table.client.put_item(TableName=self.table.name, Item={**key, "n": {"N": str(self._written)}})

    def delete(self, number: int) -> None:
        """Deletes the item of a key."""
        self.table.client.delete_item(TableName=self.table.name, Key={"id": {"S": f"k{number}"}})

    def listed(self, parent: str | None = None) -> dict[str, dict[str, Any]]:
        """The shards of one page of DescribeStream, by id."""
        more = {"ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": parent}} if parent else {}
        answer = self.client.describe_stream(StreamArn=self.arn, **more)["StreamDescription"]
        return {shard["ShardId"]: shard for shard in answer["Shards"]}

    def iterator(self, shard: str, after: str | None = None) -> str:
        where = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        answer = self.client.get_shard_iterator(StreamArn=self.arn, ShardId=shard, **where)
        iterator: str = answer["ShardIterator"]
        return iterator

    def page(self, shard: str, after: str) -> list[int]:
        """What was written, by one page after a sequence number."""
        return numbers(self.client.get_records(ShardIterator=self.iterator(shard, after))["Records"])

    def records(self, shard: str, limit: int = 1000) -> tuple[list[dict[str, Any]], bool]:
        """(records, whether the shard has ended), up to the third empty page."""
        found: list[dict[str, Any]] = []
        iterator: str | None = self.iterator(shard)
        empty = 0
        while iterator is not None and empty < 3:
            page = self.client.get_records(ShardIterator=iterator, Limit=limit)
            empty = 0 if page["Records"] else empty + 1
            found += page["Records"]
            iterator = page.get("NextShardIterator")
        return found, iterator is None

    def all_records(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Of every shard that is listed, in the order of their opening."""
        return [record for shard in self.listed() for record in self.records(shard, limit)[0]]


def numbers(records: list[dict[str, Any]]) -> list[int]:
    """What was written by the writes behind these records."""
    return [int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in records]
