"""Credentials: what goes wrong while a request is signed, whether it passes, and which command renews them.

A request that could not be signed was not sent. Whatever STS, IAM Identity Center (SSO), the sign-in service or
a metadata service answered meanwhile says nothing about a record, and nothing about DynamoDB.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import botocore.exceptions as boto
import botocore.session

from reindexer.dynamo.clock import CLOCK_WRONG, wrong_clock
from reindexer.errors import cut, one_line

#: For so long errors that pass by themselves are retried, seconds: a metadata service or STS that restarts is
#: back within a minute. Then the job parks, since it may as well be a configuration that will never work.
PATIENCE_SECONDS = 120.0
#: Failures further apart than this are two troubles, seconds: the longest wait between two tries is a minute.
_ONE_TROUBLE_SECONDS = 180.0
#: Bytes of what the service said, so that the command that renews the credentials has room in one message.
_SAID_BYTES = 180

#: API calls by which credentials are had. Their errors are a `ClientError`, as DynamoDB's own are.
_CALLS = frozenset(
    (
        "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot",
        "GetSessionToken", "GetFederationToken", "GetCallerIdentity",  # STS
        "GetRoleCredentials", "ListAccountRoles", "ListAccounts",  # SSO
        "CreateToken", "CreateTokenWithIAM", "RegisterClient", "StartDeviceAuthorization",  # SSO-OIDC
        "CreateOAuth2Token",  # sign-in
    )
)  # fmt: skip
_LOGIN = (boto.LoginError,)
_SSO = (boto.SSOError, boto.TokenRetrievalError)  # of SSOError: token load, unauthorized token
_OURS = (
    *_LOGIN,
    *_SSO,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.RefreshWithMFAUnsupportedError,
    boto.MetadataRetrievalError,
    boto.NoAuthTokenError,
    boto.UnknownCredentialError,
    boto.InvalidConfigError,
    boto.ConfigNotFound,
    boto.ConfigParseError,
    boto.ProfileNotFound,
    boto.NoRegionError,
)
#: What may be gone a moment later, while credentials are had.
_PASSING = (
    boto.HTTPClientError,  # all of botocore's connection errors and time-outs
    boto.ConnectionError,
    boto.MetadataRetrievalError,
    boto.CredentialRetrievalError,
    ConnectionError,
    TimeoutError,
)
_PASSING_CODES = frozenset(
    (
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestLimitExceeded",
        "TooManyRequestsException", "SlowDownException", "IDPCommunicationError", "RequestTimeout",
        "PriorRequestNotComplete",
    )
)  # fmt: skip


class SigningFailed(boto.BotoCoreError):
    """A request could not be signed, so it was not sent. `passing`: it may be tried again.

    A `BotoCoreError`, so that whoever handles those need not know of it.
    """

    fmt = "{sentence}"

    def __init__(self, code: str, sentence: str, *, passing: bool) -> None:
        super().__init__(sentence=sentence)
        self.code, self.sentence, self.passing = code, sentence, passing


def is_of_credentials(error: BaseException) -> bool:
    """Whether the error was raised while credentials were had, and not by DynamoDB."""
    if isinstance(error, boto.ClientError):
        return error.operation_name in _CALLS
    return isinstance(error, (SigningFailed, *_OURS))


def as_signing_failure(error: BaseException, *, passing: bool | None = None) -> SigningFailed:
    """What was raised while a request was signed, as a sentence that ends with what renews the credentials."""
    if isinstance(error, SigningFailed):
        return error
    code = ""
    if isinstance(error, boto.ClientError):
        if clock := wrong_clock(error):
            return SigningFailed(CLOCK_WRONG, clock, passing=False)
        # With the call: an AccessDenied of STS, or a ResourceNotFound of SSO, says nothing of the table.
        code = f"{error.operation_name}.{error.response.get('Error', {}).get('Code', 'Unknown')}"
    sentence = one_line(error, _SAID_BYTES)
    if renewal := renewed_by(error):
        sentence = f"{sentence.rstrip('. ')}: {renewal}"
    if passing is None:  # no one has counted tries: an error that names the credentials themselves stays
        passing = may_pass(error) and not isinstance(error, _OURS)
    return SigningFailed(code or type(error).__name__, cut(sentence), passing=passing)


def may_pass(error: BaseException) -> bool:
    """Whether it may go through later without anybody changing anything."""
    if isinstance(error, boto.ClientError):
        answer: Mapping[str, Any] = error.response
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        return status >= 500 or status == 429 or answer.get("Error", {}).get("Code") in _PASSING_CODES
    return isinstance(error, _PASSING)


def renewed_by(error: BaseException | None = None) -> str:
    """The command that renews the credentials in use, as an instruction; "" where none is known.

    `error` tells by its class; else AWS's configuration does: the profile in use, or its source.
    """
    if isinstance(error, boto.RefreshWithMFAUnsupportedError):
        return (
            "get temporary ones with `aws sts get-session-token --serial-number … --token-code …`, "
            "and start the worker with them"
        )
    profile, how = _profile()
    if isinstance(error, _LOGIN):
        how = "aws login"
    elif isinstance(error, _SSO):
        how = "aws sso login"
    if not how:
        return ""
    return f"run `{how}{f' --profile {profile}' if profile != 'default' else ''}`"


def _profile() -> tuple[str, str]:
    """(name of the profile whose credentials are renewed, command that does so or "")."""
    name = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    if os.environ.get("AWS_ACCESS_KEY_ID") and not os.environ.get("AWS_PROFILE"):
        return name, ""  # they come from the environment, whatever a profile says
    try:
        profiles: Mapping[str, Mapping[str, Any]] = botocore.session.Session().full_config["profiles"]
    except boto.BotoCoreError:
        return name, ""
    first, seen = name, set[str]()
    while name not in seen:
        seen.add(name)
        profile = profiles.get(name, {})
        if "sso_session" in profile or "sso_start_url" in profile:
            return name, "aws sso login"
        if "login_session" in profile:
            return name, "aws login"
        name = profile.get("source_profile", name)
    return first, ""


class Signer:
    """The credentials of one session, fetched again when they expire. Thread-safe, as botocore's are."""

    def __init__(self, session: botocore.session.Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._clock = session, clock
        self._lock = threading.Lock()
        self._failing_since: float | None = None
        self._failed_at = 0.0

    def credentials(self) -> Any:
        """Frozen credentials. Raises `SigningFailed`, whatever their provider raises."""
        try:
            found = self._session.get_credentials()
            if found is None:
                raise boto.NoCredentialsError
            frozen = found.get_frozen_credentials()
        except Exception as error:  # a provider may raise anything, also what is not botocore's
            raise as_signing_failure(error, passing=may_pass(error) and self._patient()) from error
        self._failing_since = None
        return frozen

    def check(self, **_: Any) -> None:
        """Before a call that botocore signs itself: its errors must not look like DynamoDB's."""
        self.credentials()

    def _patient(self) -> bool:
        """Whether this trouble has not lasted for too long yet."""
        with self._lock:
            now = self._clock()
            if self._failing_since is None or now - self._failed_at > _ONE_TROUBLE_SECONDS:
                self._failing_since = now
            self._failed_at = now
            return now - self._failing_since < PATIENCE_SECONDS
