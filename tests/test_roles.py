"""Assuming a role: with one's own credentials, when they are first needed, and with the external ID."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import NoCredentialsError

from reindexer.dynamo.roles import Role, assuming

ARN = "arn:aws:iam::123456789012:role/reader"


class SecurityTokens:
    """Answers AssumeRole, and remembers what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.by = ""

    def client(self, service: str, **given: Any) -> SecurityTokens:
        assert service == "sts"
        self.by = given["aws_access_key_id"]
        return self

    def assume_role(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        until = datetime.now(UTC) + timedelta(hours=1)
        keys = {"AccessKeyId": "theirs", "SecretAccessKey": "secret", "SessionToken": "token"}
        return {"Credentials": {**keys, "Expiration": until.isoformat()}}


@pytest.mark.parametrize("external_id", [None, "abc"])
def test_credentials_are_the_roles_and_are_had_once(external_id: str | None) -> None:
    own: Any = botocore.session.get_session()
    tokens = SecurityTokens()
    own.create_client = tokens.client
    session: Any = assuming(own, Role(ARN, external_id), "eu-west-1")
    assert tokens.asked == [], "not before they are needed"
    for _ in range(2):
        assert session.get_credentials().get_frozen_credentials().access_key == "theirs"
    more = {"ExternalId": external_id} if external_id else {}
    assert tokens.asked == [{"RoleArn": ARN, "RoleSessionName": "reindexer", **more}]
    assert tokens.by == "fake"


def test_without_credentials_of_ones_own_there_is_nothing_to_assume_it_with() -> None:
    own: Any = botocore.session.get_session()
    own.get_credentials = lambda: None
    with pytest.raises(NoCredentialsError):
        assuming(own, Role(ARN), None)
