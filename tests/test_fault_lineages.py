"""The lineage layer of the fault proxy: what was written is handed out once, by shards that roll and split."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from reindexer.streams.client import make_streams_client
from testbed.faults import Fault, FaultKind, FaultPlan, FaultProxy
from testbed.faults.lineages.models import Handed
from tests.streamed import Streamed, numbers
from tests.tables import Table

pytest_plugins = ["tests.proxied"]


def failing(kind: FaultKind, operation: str, **more: Any) -> FaultPlan:
    return FaultPlan(faults=(Fault(kind=kind, operations=frozenset((operation,)), limit=1, **more),))


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("limit", [1000, 3])
def test_every_record_is_handed_out_once_in_the_order_of_its_key(streamed: Streamed, limit: int) -> None:
    control = streamed.control
    streamed.write(20)
    left, right = control.split(control.root)
    streamed.write(20)
    left = control.roll(left)
    streamed.write(10)
    control.split(right)
    streamed.write(15)
    records = streamed.all_records(limit)
    assert len(records) == 65
    by_key = defaultdict(list)
    for record, number in zip(records, numbers(records), strict=True):
        by_key[record["dynamodb"]["Keys"]["id"]["S"]].append(number)
    assert all(found == sorted(set(found)) for found in by_key.values())
    truth = control.truth()
    assert [shard.open for shard in truth.shards] == [False, False, False, True, True, True]
    handed = [one for of_shard in truth.handed_out.values() for one in of_shard]
    assert Counter(map(_place, handed)) == Counter(map(_place, truth.written))
    assert [shard for shard in truth.handed_out if not truth.handed_out[shard]] == []


def _place(one: Handed) -> tuple[str, str, str]:
    return one.shard, one.sequence_number, one.key


def test_a_shard_ends_where_its_children_begin(streamed: Streamed) -> None:
    control = streamed.control
    streamed.write(4)
    assert streamed.records(control.root)[1] is False
    child = control.roll(control.root)
    streamed.write(3)
    assert numbers(streamed.records(control.root)[0]) == [1, 2, 3, 4]
    assert streamed.records(control.root)[1] is True
    assert numbers(streamed.records(child)[0]) == [5, 6, 7]
    grandchild = control.roll(control.roll(child))  # one between them without a record
    streamed.write(1)
    assert numbers(streamed.records(grandchild)[0]) == [8]
    assert numbers(streamed.all_records()) == list(range(1, 9))


def test_sequence_numbers_grow_in_digits_and_fall_as_texts(streamed: Streamed) -> None:
    shard = streamed.control.root
    for _ in range(2):
        streamed.write(1)
        shard = streamed.control.roll(shard)
    streamed.write(1)
    found = [record["dynamodb"]["SequenceNumber"] for record in streamed.all_records()]
    assert [int(number) for number in found] == sorted(int(number) for number in found)
    assert found != sorted(found)
    assert len({len(number) for number in found}) == 3


def test_reading_goes_on_after_a_number(streamed: Streamed) -> None:
    child = streamed.control.roll(streamed.control.root)
    streamed.write(3)
    first = streamed.records(child)[0][0]["dynamodb"]["SequenceNumber"]
    assert streamed.page(child, first) == [2, 3]


def test_children_are_listed_late_and_a_parent_is_shown_open_beside_them(streamed: Streamed) -> None:
    control, root = streamed.control, streamed.control.root
    child = control.roll(root, listed_after=2, parent_open_for=1)
    assert [list(streamed.listed()) for _ in range(2)] == [[root], [root]]
    ending = ["EndingSequenceNumber" in streamed.listed()[root]["SequenceNumberRange"] for _ in range(2)]
    assert ending == [False, True]
    assert list(streamed.listed(parent=root)) == [child]
    control.hide(child, listings=1)
    assert list(streamed.listed()) == [root]
    assert list(streamed.listed()) == [root, child]


def test_pages_of_a_listing_may_fail_one_by_one(streamed: Streamed) -> None:
    shards = [streamed.control.root]
    for _ in range(3):
        shards.append(streamed.control.roll(shards[-1]))
    streamed.control.adjust(page_shards=3)
    first = streamed.client.describe_stream(StreamArn=streamed.arn)["StreamDescription"]
    assert [shard["ShardId"] for shard in first["Shards"]] == shards[:3]
    streamed.proxy.set_plan(failing(FaultKind.SERVER_ERROR, "DescribeStream"))
    asked = {"StreamArn": streamed.arn, "ExclusiveStartShardId": first["LastEvaluatedShardId"]}
    with pytest.raises(ClientError) as error:
        streamed.client.describe_stream(**asked)
    assert code(error) == "InternalServerError"
    second = streamed.client.describe_stream(**asked)["StreamDescription"]
    assert [shard["ShardId"] for shard in second["Shards"]] == shards[3:]
    assert "LastEvaluatedShardId" not in second


def test_an_iterator_expires_after_a_quarter_of_an_hour(streamed: Streamed) -> None:
    streamed.write(1)
    iterator = streamed.iterator(streamed.control.root)
    streamed.control.turn_clock(800)
    assert streamed.client.get_records(ShardIterator=iterator)["Records"]
    streamed.control.turn_clock(101)
    with pytest.raises(ClientError) as error:
        streamed.client.get_records(ShardIterator=iterator)
    assert code(error) == "ExpiredIteratorException"


@pytest.mark.parametrize("fails", ["GetShardIterator", "GetRecords"])
def test_what_is_trimmed_is_gone(streamed: Streamed, fails: Any) -> None:
    control = streamed.control
    streamed.write(2)
    child = control.roll(control.root)
    streamed.write(2)
    before = streamed.records(child)[0][0]["dynamodb"]["SequenceNumber"]
    control.trim(through=control.root, fails=fails)
    assert list(streamed.listed()) == [child]
    with pytest.raises(ClientError) as error:
        streamed.iterator(control.root)
    assert code(error) == "ResourceNotFoundException"
    control.trim(fails=fails)
    streamed.write(1)
    assert numbers(streamed.records(child)[0]) == [5], "from the beginning that is left, without an error"
    going_on: dict[str, Callable[[str, str], object]]
    going_on = {"GetShardIterator": streamed.iterator, "GetRecords": streamed.page}
    with pytest.raises(ClientError) as error:
        going_on[fails](child, before)
    assert code(error) == "TrimmedDataAccessException"
    assert error.value.operation_name == fails


@pytest.mark.alone
def test_a_third_reader_is_refused_while_two_are_reading(streamed: Streamed) -> None:
    streamed.control.adjust(readers=2)
    readers = [streamed.iterator(streamed.control.root) for _ in range(3)]
    for iterator in readers[:2]:
        streamed.client.get_records(ShardIterator=iterator)
    with pytest.raises(ClientError) as error:
        streamed.client.get_records(ShardIterator=readers[2])
    assert code(error) == "LimitExceededException"
    time.sleep(1.1)  # a reader counts for a second after its last call
    streamed.client.get_records(ShardIterator=readers[2])


def test_deletions_of_time_to_live_say_so(streamed: Streamed) -> None:
    streamed.write(2, keys=2)
    for key in ("k0", "k1"):
        streamed.table.client.delete_item(TableName=streamed.table.name, Key={"id": {"S": key}})
    streamed.control.adjust(expired=[{"id": {"S": "k1"}}])
    removed = [record for record in streamed.all_records() if record["eventName"] == "REMOVE"]
    by = {record["dynamodb"]["Keys"]["id"]["S"]: record.get("userIdentity") for record in removed}
    assert by == {"k0": None, "k1": {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}}


def test_calls_are_cut_and_their_answers_lost(streamed: Streamed) -> None:
    """What was handed out and never arrived is in the layer's list; the same iterator hands it out again."""
    streamed.write(2)
    iterator = streamed.iterator(streamed.control.root)
    streamed.proxy.set_plan(failing(FaultKind.CUT_APPLIED, "GetRecords"))
    with pytest.raises(HTTPClientError):
        streamed.client.get_records(ShardIterator=iterator)
    assert numbers(streamed.client.get_records(ShardIterator=iterator)["Records"]) == [1, 2]
    assert len(streamed.control.truth().handed_out[streamed.control.root]) == 4


def test_a_stream_that_no_one_asked_to_draw_over_is_the_engines(
    lineage_proxy: FaultProxy, make_table: Callable[..., Table]
) -> None:
    table = make_table(stream="KEYS_ONLY")
    arn = table.client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    client = make_streams_client(endpoint=lineage_proxy.endpoint_url)
    [shard] = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    table.fill(2)
    asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(**asked)["ShardIterator"]
    assert len(client.get_records(ShardIterator=iterator)["Records"]) == 2


def test_what_makes_no_sense_is_refused(streamed: Streamed) -> None:
    streamed.control.roll(streamed.control.root)
    with pytest.raises(RuntimeError, match="has ended"):
        streamed.control.roll(streamed.control.root)
    with pytest.raises(RuntimeError, match="lineages"):
        streamed.control.roll("no such shard")
    with pytest.raises(ClientError) as error:
        streamed.client.get_shard_iterator(
            StreamArn=streamed.arn, ShardId=streamed.control.root, ShardIteratorType="LATEST"
        )
    assert code(error) == "ValidationException"
