"""Who else reads the stream, as far as it can be seen: a shard serves two readers, a third is throttled."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from reindexer.planning.facts import Described

#: Readers of a stream shard that DynamoDB serves at the same time, us included.
_SERVED = 2
#: Mappings of one stream that are looked at: two would do.
_MAX_MAPPINGS = 100
_ALLOW = "lambda:ListEventSourceMappings"


def readers_advice(described: Described, region: str | None) -> list[str]:
    """A warning where others read the stream so often that we would be throttled, or where that is not known.

    Lambda's triggers are listed and the replicas of a global table counted; whoever else reads cannot be seen.
    """
    arn = described.description.get("LatestStreamArn")
    if arn is None or not _may_ask():
        return []
    readers = ["the replication of the global table"] if described.description.get("Replicas") else []
    try:
        readers += [f"Lambda function {name}" for name in _triggers(_client(region), arn)]
    except ClientError as error:
        why = f"{error.response.get('Error', {}).get('Code', '')}; {_ALLOW}"
        return [f"Lambda triggers of the stream cannot be listed ({why}): a third reader is throttled"]
    except (BotoCoreError, OSError):
        return ["Lambda does not say which of its functions read the stream: a third reader is throttled"]
    if len(readers) < _SERVED:
        return []
    return [
        f"the stream has {len(readers)} readers already ({', '.join(readers)}): a shard of it serves "
        f"{_SERVED}, so that this follow and they will throttle each other"
    ]


def _may_ask() -> bool:
    """Whether the table is AWS's own, or Lambda's place is given too: a local engine has no triggers."""
    given = os.environ.get
    return bool(not given("AWS_ENDPOINT_URL_DYNAMODB") or given("AWS_ENDPOINT_URL_LAMBDA"))


def _client(region: str | None) -> Any:
    """Asks once: nothing depends on the answer."""
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})  # as of DynamoDB
    return boto3.session.Session(region_name=region).client("lambda", config=config)


def _triggers(client: Any, arn: str) -> list[str]:
    """Names of the functions whose mappings read the stream now."""
    answer = client.list_event_source_mappings(EventSourceArn=arn, MaxItems=_MAX_MAPPINGS)
    mappings = answer.get("EventSourceMappings") or []
    live = [one for one in mappings if one.get("State") not in ("Disabled", "Disabling", "Deleting")]
    return [str(one.get("FunctionArn", "")).rsplit(":function:", 1)[-1] for one in live]
