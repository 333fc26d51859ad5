"""Making DynamoDB clients: no hidden retries, short time-outs, checked answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from reindexer.dynamo.credentials import Signer, as_signing_failure, is_of_credentials
from reindexer.dynamo.roles import Role, assuming
from reindexer.dynamo.transport import LeanClient, check_crc32
from reindexer.errors import EnvironmentFault, one_line
from reindexer.settings import aws_region

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def make_client(
    *,
    region: str | None = None,
    pool: int = 32,
    lean: bool = True,
    endpoint: str | None = None,
    role: Role | None = None,
) -> DynamoDBClient:
    """A DynamoDB client for counted work: each call is one attempt, so that every answer is seen.

    Endpoint, region and credentials come from AWS's own settings where they are not given; a `role` is assumed.
    `pool` is the most calls in flight at once. `lean`: the calls that carry records bypass boto3's models.
    Raises `EnvironmentFault` where AWS's settings do not suffice (no region, broken profile).
    """
    made = plain_client("dynamodb", region=region, pool=pool, endpoint=endpoint, role=role)
    return cast("DynamoDBClient", LeanClient(*made) if lean else made.client)


class Made(NamedTuple):
    """A boto3 client, and what it was made of."""

    client: Any
    session: botocore.session.Session
    config: Config
    signer: Signer


def plain_client(
    service: Literal["dynamodb", "dynamodbstreams"],
    *,
    region: str | None,
    pool: int,
    endpoint: str | None,
    role: Role | None,
) -> Made:
    """boto3's client of a service that speaks DynamoDB's protocol. As `make_client`."""
    config = Config(
        retries={"total_max_attempts": 1},  # a hidden retry turns "applied" into "refused" and ruins the counts
        parameter_validation=False,  # ours is typed and fixed; it costs 39 % of a batch call
        max_pool_connections=pool,
        tcp_keepalive=True,
        connect_timeout=3,  # seconds; a connect failure is known not to have been applied, so fail fast
        read_timeout=5,  # seconds; DynamoDB answers in milliseconds, and botocore's 60 would stall a pause
    )
    session = botocore.session.get_session()
    try:
        if role is not None:
            session = assuming(session, role, region or aws_region())
        client = boto3.session.Session(botocore_session=session, region_name=region or aws_region()).client(
            service, config=config, endpoint_url=endpoint
        )
    except (BotoCoreError, ClientError, OSError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise no_client(error) from error
    signer = Signer(session)
    name = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-parse.{name}", _checked)
    client.meta.events.register(f"before-call.{name}", signer.check)
    return Made(client, session, config, signer)


def no_client(error: Exception) -> EnvironmentFault:
    """Why no client could be made: region, profile, or credentials that are had at once."""
    if is_of_credentials(error):
        failed = as_signing_failure(error)
        return EnvironmentFault(failed.code, failed.sentence)
    return EnvironmentFault(type(error).__name__, one_line(error))


def _checked(response_dict: dict[str, Any], **_: Any) -> None:
    check_crc32(response_dict["headers"], response_dict["body"])
