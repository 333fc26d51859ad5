"""What a process of ours sees of its caller: nothing of AWS, nothing of Temporal."""

from __future__ import annotations

import http.client
import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from reindexer.settings import settings

# DynamoDB Local takes letters and digits only.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def caller_free_environment(engine_endpoint: str, temporal_address: str) -> dict[str, str]:
    """What a process needs in its environment to reach these two servers and no one else's.

    The caller's variables, except all of AWS's and Temporal's; their settings files are out of sight, too.
    """
    around = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1", "localhost")))
    return {
        **without_caller(),
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": engine_endpoint,  # of every service: none may reach the real one
        "AWS_ENDPOINT_URL_DYNAMODB": engine_endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": engine_endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TEMPORAL_ADDRESS": temporal_address,
        "TEMPORAL_NAMESPACE": "default",
        "NO_PROXY": around,  # botocore would ask a proxy for loopback, too
        "no_proxy": around,
    }


@contextmanager
def surroundings(environment: Mapping[str, str]) -> Iterator[None]:
    """This process's environment is `environment` for the block, so that no setting of its caller is seen."""
    before = dict(os.environ)
    _set_environment(environment)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):  # not `clear`: threads may look up what stays as it is
        del os.environ[name]
    os.environ.update(environment)
    settings.cache_clear()


def without_caller() -> dict[str, str]:
    """The environment without the caller's AWS and Temporal settings, their files included."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TEMPORAL_"))}
    return {**inherited, "TEMPORAL_CONFIG_FILE": "/nonexistent/temporal.toml"}  # none or "" is the caller's own


def answers(request: urllib.request.Request) -> bool:
    """Whether the server says yes; asked directly, whatever proxy the caller has."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=2) as answer:  # on loopback; a busy start is asked again
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False
