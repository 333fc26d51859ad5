"""A stand-in for AWS Security Token Service on loopback: it grants short-lived credentials, refuses, or fails.

For processes that get theirs by AssumeRoleWithWebIdentity, as containers do; `environment` makes them do so.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from testbed.surroundings import CREDENTIALS

#: botocore renews credentials that have 10 minutes left, and cannot do without after that: these serve for 3 s.
_LIFE = timedelta(minutes=10, seconds=3)
_SPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_GRANTED = f"""<AssumeRoleWithWebIdentityResponse xmlns="{_SPACE}"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>{{key}}</AccessKeyId><SecretAccessKey>{{secret}}</SecretAccessKey>
<SessionToken>token</SessionToken><Expiration>{{until}}</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_REFUSED = f"""<ErrorResponse xmlns="{_SPACE}"><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>"""
_BROKEN = f"""<ErrorResponse xmlns="{_SPACE}"><Error><Type>Receiver</Type><Code>InternalFailure</Code>
<Message>An internal error has occurred</Message></Error></ErrorResponse>"""


class TokenService:
    """A running stand-in. `answers` is the status of what it says from now on: 200, 403 or 500."""

    def __init__(self, folder: Path) -> None:
        self._token = folder / "web-identity-token"
        self._token.write_text("a token of an identity provider")
        self.answers = 200
        self.refused = 0  # requests that got no credentials
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = service._answer()
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: the workers' log says what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def environment(self) -> dict[str, str]:
        """What a process has in its environment instead of credentials."""
        return {
            "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/reindexer",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(self._token),
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="token service", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self) -> tuple[int, bytes]:
        status = self.answers
        if status == 200:
            key, secret = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
            until = (datetime.now(UTC) + _LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
            return status, _GRANTED.format(key=key, secret=secret, until=until).encode()
        self.refused += 1
        return status, (_BROKEN if status >= 500 else _REFUSED).encode()
