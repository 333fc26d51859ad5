"""Credentials that cannot be had: nothing was sent, no record is to blame, and what renews them is named."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.httpsession import URLLib3Session

from commands.input.exits import Exit, meaning
from reindexer.answers import Action, CallFailed
from reindexer.dynamo.client import make_client
from reindexer.dynamo.credentials import PATIENCE_SECONDS, Signer, SigningFailed
from reindexer.dynamo.table import TableClient
from reindexer.dynamo.taxonomy import of_call
from reindexer.errors import EnvironmentFault, Unavailable
from reindexer.ledger import Ledger, ledger_client
from reindexer.models import RoundInput, Stop
from reindexer.table_rounds import make_round
from reindexer.tally import Outcome, Tally
from tests.driving import PATIENCE, SEGMENT, FakeContext, target
from tests.model_table import ModelTable

CONFIG = """
[profile work]
sso_session = firm
sso_account_id = 123456789012
sso_role_name = reader
region = eu-central-1
[sso-session firm]
sso_start_url = https://firm.awsapps.com/start
sso_region = eu-central-1
[profile by-role]
role_arn = arn:aws:iam::123456789012:role/worker
source_profile = work
region = eu-central-1
[profile signed-in]
login_session = arn:aws:iam::123456789012:user/ann
region = eu-central-1
[profile loop]
source_profile = loop
"""


def client_error(code: str, operation: str, status: int = 400) -> boto.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": f"about {code}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return boto.ClientError(response, operation)


@pytest.fixture(autouse=True)
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


STAY: list[Exception] = [
    boto.NoCredentialsError(),
    boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    boto.CredentialRetrievalError(provider="custom-process", error_msg="exit code 1"),
    boto.TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
    boto.SSOTokenLoadError(error_msg="no token"),
    boto.UnauthorizedSSOTokenError(),
    boto.SSOError(),
    boto.RefreshWithMFAUnsupportedError(),
    boto.MetadataRetrievalError(error_msg="no answer"),
    boto.LoginError(),
    boto.LoginRefreshRequired(),
    boto.LoginInsufficientPermissions(),
    boto.LoginTokenLoadError(error_msg="no token"),
    boto.ProfileNotFound(profile="nobody"),
    client_error("AccessDenied", "AssumeRole", 403),
    client_error("ExpiredTokenException", "AssumeRole"),
    client_error("ExpiredTokenException", "AssumeRoleWithWebIdentity"),
    client_error("InvalidIdentityToken", "AssumeRoleWithWebIdentity"),
    client_error("ForbiddenException", "GetRoleCredentials", 403),
    client_error("ValidationError", "AssumeRole"),
    client_error("InvalidGrantException", "CreateToken"),
    client_error("AccessDeniedException", "CreateOAuth2Token"),
]
PASS: list[Exception] = [
    client_error("InternalFailure", "AssumeRole", 500),
    client_error("ServiceUnavailable", "GetRoleCredentials", 503),
    client_error("Throttling", "AssumeRole"),
    client_error("TooManyRequestsException", "GetRoleCredentials", 429),
    client_error("IDPCommunicationError", "AssumeRoleWithWebIdentity"),
]


def name_of(error: Exception) -> str:
    if isinstance(error, boto.ClientError):
        return f"{error.operation_name}-{error.response['Error']['Code']}"
    return type(error).__name__


@pytest.mark.parametrize("error", STAY, ids=name_of)
@pytest.mark.parametrize("statements", [1, 25])
def test_an_error_of_credentials_parks_and_blames_no_record(error: Exception, statements: int) -> None:
    failure = of_call(error, statements)
    assert (failure.action, failure.applied, failure.counter, failure.reached) == (
        Action.PARK, False, None, False,
    )  # fmt: skip


@pytest.mark.parametrize("error", PASS, ids=name_of)
def test_what_passes_is_retried_and_was_not_sent(error: Exception) -> None:
    failure = of_call(error, 25)
    assert (failure.action, failure.applied, failure.counter, failure.reached) == (
        Action.RETRY, False, None, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "error", "command"),
    [
        ("work", boto.UnauthorizedSSOTokenError(), "aws sso login --profile work"),
        ("work", boto.TokenRetrievalError(provider="sso", error_msg="expired"), "aws sso login --profile work"),
        ("work", boto.NoCredentialsError(), "aws sso login --profile work"),
        ("work", client_error("ExpiredTokenException", "Scan"), "aws sso login --profile work"),
        ("by-role", boto.SSOTokenLoadError(error_msg="none"), "aws sso login --profile work"),
        ("by-role", client_error("ExpiredToken", "AssumeRole"), "aws sso login --profile work"),
        ("signed-in", boto.LoginRefreshRequired(), "aws login --profile signed-in"),
        ("signed-in", client_error("ExpiredTokenException", "UpdateItem"), "aws login --profile signed-in"),
        ("", boto.LoginTokenLoadError(error_msg="none"), "aws login"),
        ("", boto.SSOTokenLoadError(error_msg="none"), "aws sso login"),
        ("loop", boto.RefreshWithMFAUnsupportedError(), "aws sts get-session-token"),
    ],
)
def test_the_command_that_renews_them_is_named(
    configured: pytest.MonkeyPatch, profile: str, error: Exception, command: str
) -> None:
    configured.setenv("AWS_PROFILE", profile)
    assert f"`{command}" in of_call(error).message
    assert f"`{command}{'' if '--profile' in command else '`'}" in of_call(error).message or "sts" in command


def test_a_command_says_the_same_and_nothing_was_touched(configured: pytest.MonkeyPatch) -> None:
    configured.setenv("AWS_PROFILE", "work")
    code, sentence = meaning(boto.UnauthorizedSSOTokenError())
    assert code is Exit.BAD_INPUT
    assert "run `aws sso login --profile work`" in sentence
    code, sentence = meaning(client_error("InternalFailure", "AssumeRole", 500))
    assert code is Exit.NOT_FINISHED
    assert "AWS credentials" in sentence


class Session:
    """A botocore session whose provider raises what it is given, one after another; then there are keys."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def get_credentials(self) -> Any:
        return self

    def get_frozen_credentials(self) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return "keys"


def test_what_may_pass_is_tried_for_a_while_and_then_parks() -> None:
    now = [0.0]
    trouble = boto.EndpointConnectionError(endpoint_url="https://sts")
    signer = Signer(Session(*[trouble] * 5), lambda: now[0])  # type: ignore[arg-type]
    seen = []
    for at in (0.0, 60.0, PATIENCE_SECONDS - 1, PATIENCE_SECONDS, PATIENCE_SECONDS + 1000):
        now[0] = at
        with pytest.raises(SigningFailed) as failed:
            signer.credentials()
        seen.append(failed.value.passing)
        assert failed.value.code == "EndpointConnectionError"
    assert seen == [True, True, True, False, True], "a failure long after the last one is another trouble"
    assert signer.credentials() == "keys"


@pytest.mark.parametrize(
    "error", [FileNotFoundError("no such helper"), ValueError("half a token"), KeyError("x")]
)
def test_whatever_a_provider_raises_was_not_sent(error: Exception) -> None:
    with pytest.raises(SigningFailed) as failed:
        Signer(Session(error)).credentials()  # type: ignore[arg-type]
    failure = of_call(failed.value, 25)
    assert (failure.action, failure.applied, failure.reached) == (Action.PARK, False, False)


def test_an_answer_that_is_not_sts_s_is_a_sentence() -> None:
    """Another service's, as where AWS_ENDPOINT_URL names one: botocore finds no `Error` in it."""
    error = boto.ClientError({"ResponseMetadata": {"HTTPStatusCode": 400}}, "AssumeRole")  # type: ignore[typeddict-item]
    failure = of_call(error)
    assert (failure.code, failure.action, failure.reached) == ("AssumeRole.Unknown", Action.PARK, False)
    assert "AssumeRole" in failure.message


@pytest.mark.parametrize("operation", ["scan", "describe_table", "update_item", "execute_statement"])
@pytest.mark.parametrize("lean", [True, False])
def test_a_removed_sso_token_is_found_on_each_way_to_dynamodb(
    configured: pytest.MonkeyPatch, operation: str, lean: bool
) -> None:
    """The cache of tokens is empty, and nothing may be asked over the network."""
    configured.setenv("AWS_PROFILE", "work")
    configured.setattr(URLLib3Session, "send", lambda *_: pytest.fail("something was sent"))
    table = TableClient(make_client(lean=lean), "t")
    with pytest.raises(CallFailed) as failed:
        table.call(operation, 25, TableName="t")
    failure = failed.value.failure
    assert (failure.action, failure.applied, failure.reached) == (Action.PARK, False, False)
    assert "run `aws sso login --profile work`" in failure.message


def test_the_ledger_says_the_same(configured: pytest.MonkeyPatch) -> None:
    configured.setenv("AWS_PROFILE", "work")
    with pytest.raises(EnvironmentFault, match="aws sso login --profile work") as fault:
        Ledger("l", ledger_client()).store.check()
    assert not isinstance(fault.value, Unavailable)


def test_an_sts_error_is_distinguished_from_dynamodbs_own_on_every_call(
    configured: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The role is assumed at the first signature: an AccessDenied there says nothing about the table."""
    token = tmp_path / "token"
    token.write_text("token")
    configured.setenv("AWS_REGION", "eu-central-1")
    configured.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    configured.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/worker")
    answer = (
        b"<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>"
    )
    codes = [b"AccessDenied", b"ValidationError", b"InvalidIdentityToken"]
    configured.setattr(
        URLLib3Session, "send", lambda _, request: _answer(request.url, answer % codes[0]),
    )  # fmt: skip
    for code in list(codes):
        table = TableClient(make_client(), "t")
        for operation in ("scan", "describe_table"):
            with pytest.raises(CallFailed) as failed:
                table.call(operation, 25, TableName="t")
            failure = failed.value.failure
            assert failure.code == f"AssumeRoleWithWebIdentity.{code.decode()}"
            assert (failure.action, failure.reached) == (Action.PARK, False)
        codes.pop(0)


def _answer(url: str, body: bytes) -> Any:
    from botocore.awsrequest import AWSResponse

    assert "sts" in url, f"something was sent to {url}"

    class Raw(io.BytesIO):
        def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
            yield self.read()

    headers: Any = {"content-type": "text/xml"}
    return AWSResponse(url, 403, headers, Raw(body))


@pytest.mark.parametrize("writer", ["partiql", "update_item"])
@pytest.mark.parametrize("passing", [True, False])
def test_no_record_is_isolated_and_nothing_counts_as_sent(writer: str, passing: bool) -> None:
    rows = [{"id": {"S": f"row-{number:03}"}} for number in range(200)]
    model: Any = ModelTable(rows)
    broken = [False]

    def failing(real: Any) -> Any:
        def call(**parameters: Any) -> Any:
            if broken[0]:
                model.clock.now += 0.01
                raise SigningFailed("AccessDenied", "no", passing=passing)
            broken[0] = len(model.changed) >= 50
            return real(**parameters)

        return call

    model.batch_execute_statement = failing(model.batch_execute_statement)
    model.update_item = failing(model.update_item)
    request = RoundInput(target=target(writer=writer), source=SEGMENT, seconds=30, heartbeat_timeout=10)
    result = make_round(request, TableClient(model, "t"), FakeContext(model.clock), PATIENCE).run()
    assert result.stop is (Stop.UNAVAILABLE if passing else Stop.FAULT)
    progress = result.progress
    assert (progress.isolated, progress.unconfirmed) == ([], [])
    assert sum(progress.attempts.model_dump().values()) == 0
    assert 50 <= progress.tally[Outcome.UPDATED] < 200
    model.batch_execute_statement = ModelTable.batch_execute_statement.__get__(model)
    model.update_item = ModelTable.update_item.__get__(model)
    after = request.model_copy(update={"cursor": progress.cursor})
    result = make_round(after, TableClient(model, "t"), FakeContext(model.clock), PATIENCE).run()
    whole = progress.tally.scanned + result.progress.tally.scanned
    assert (whole, len(model.changed), set(model.changed.values())) == (200, 200, {1})
    assert result.progress.tally == Tally(
        scanned=200 - progress.tally.scanned, updated=200 - progress.tally.scanned
    )
