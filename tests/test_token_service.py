"""The stand-in for AWS Security Token Service, as botocore sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from testbed.surroundings import CREDENTIALS
from testbed.token_service import TokenService


def test_it_grants_credentials_that_have_to_be_renewed_and_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with TokenService(tmp_path) as service:
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        found: Any = botocore.session.Session().get_credentials()
        assert found.get_frozen_credentials().access_key == CREDENTIALS["AWS_ACCESS_KEY_ID"]
        assert found.refresh_needed(refresh_in=11 * 60), "seconds; botocore renews what has 10 minutes left"
        service.answers = 403
        redecide: Any = botocore.session.Session().get_credentials()
        with pytest.raises(ClientError, match="AccessDenied"):
            redecide.get_frozen_credentials()
        assert service.refused == 1
