"""Assuming a role: credentials of another account, had with one's own and renewed before they expire."""

from __future__ import annotations

from typing import NamedTuple

import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

_SESSION_NAME = "reindexer"  # CloudTrail shows it with each call


class Role(NamedTuple):
    """An IAM role, and the external ID that its trust policy may ask for."""

    arn: str
    external_id: str | None = None


def assuming(own: botocore.session.Session, role: Role, region: str | None) -> botocore.session.Session:
    """A session whose credentials are the role's, had from STS with those of `own` when they are first needed.

    Raises `NoCredentialsError` where `own` has none.
    """
    credentials = own.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    more = {"RoleSessionName": _SESSION_NAME}
    if role.external_id is not None:
        more["ExternalId"] = role.external_id
    if region is not None:  # STS's endpoint is the Region's
        own.set_config_variable("region", region)
    fetcher = AssumeRoleCredentialFetcher(own.create_client, credentials, role.arn, extra_args=more)
    session = botocore.session.get_session()
    session._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]  # no public way is there
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return session
