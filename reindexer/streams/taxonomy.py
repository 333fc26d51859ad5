"""What an error of a stream's calls means. One table; what is not in it means what it means for DynamoDB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from botocore.exceptions import ClientError

from reindexer.answers import Action, Failure
from reindexer.dynamo.taxonomy import of_call

#: The iterator is older than 15 minutes: another one is to be had after the same number. Not a failure.
EXPIRED_ITERATOR = "ExpiredIterator"
#: What followed the position is no longer kept: 24 hours have passed.
TRIMMED = "StreamTrimmed"
#: The shard, or the stream, is no longer there, and may have held changes that were not read.
GONE = "StreamShardGone"


#: As people know it, in reasons and messages.
SERVICE = "DynamoDB Streams"


class _Meaning(NamedTuple):
    code: str
    action: Action
    counter: str | None = None


#: Error code of GetRecords, GetShardIterator, DescribeStream or ListStreams → what it means, from whichever
#: call: engines answer in another one than AWS.
MEANINGS: Mapping[str, _Meaning] = {
    # A third reader of the shard, or too many calls.
    "LimitExceededException": _Meaning("LimitExceededException", Action.WAIT, "throttled"),
    "ExpiredIteratorException": _Meaning(EXPIRED_ITERATOR, Action.RETRY),
    "TrimmedDataAccessException": _Meaning(TRIMMED, Action.PARK),
    "ResourceNotFoundException": _Meaning(GONE, Action.PARK),
    # A number or iterator that the service does not know: of another stream, or of an engine begun again.
    "ValidationException": _Meaning("StreamPositionRefused", Action.PARK),
}


def of_stream_call(error: Exception) -> Failure:
    """The meaning of a call's exception. A read changes nothing, and no record is to blame for it."""
    failure = replace(of_call(error), applied=False, service=SERVICE)
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    meaning = MEANINGS.get(code)
    if meaning is not None:
        return replace(failure, code=meaning.code, action=meaning.action, counter=meaning.counter)
    if failure.action in (Action.GIVE_UP, Action.SPLIT, Action.SETTLE):
        return replace(failure, action=Action.PARK)
    return failure
