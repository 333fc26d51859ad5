"""A TLS proxy before OpenSearch, with a certificate authority of its own, that checks AWS signatures.

The signature is computed by the rules of Signature Version 4 as AWS documents them, not by a library that
clients use too.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import ipaddress
import json
import re
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/"
    r"aws4_request, SignedHeaders=(?P<signed>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signed:
    """What a request's signature was made for."""

    key: str
    region: str
    service: str
    headers: tuple[str, ...]


@dataclass
class TlsProxy:
    """`authority`: the file with its authority's certificate. `secret`: the caller's; None: unchecked."""

    url: str
    authority: Path
    secret: str | None
    seen: list[Signed] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # why
    plain: int = 0  # requests, where nothing is checked


def verified(method: str, target: str, headers: Mapping[str, str], body: bytes, secret: str) -> Signed | str:
    """What was signed, or why the signature is not valid. `target`: path and query as sent."""
    given = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    found = _AUTHORIZATION.fullmatch(given.get("authorization", ""))
    if found is None:
        return f"no signature: {given.get('authorization', 'no Authorization header')[:40]}"
    signed = found["signed"].split(";")
    path, _, query = target.partition("?")
    # Every service but S3 encodes the path once more, and sorts the parameters.
    canonical = "\n".join(
        (
            method,
            urllib.parse.quote(path, safe="/~"),
            "&".join(sorted(query.split("&"))) if query else "",
            *(f"{name}:{given.get(name, '')}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{found['date']}/{found['region']}/{found['service']}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(("AWS4-HMAC-SHA256", given.get("x-amz-date", ""), scope, hashed))
    key = f"AWS4{secret}".encode()
    for part in (found["date"], found["region"], found["service"], "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if hmac.new(key, to_sign.encode(), "sha256").hexdigest() != found["signature"]:
        return "the signature is another one"
    return Signed(found["key"], found["region"], found["service"], tuple(signed))


@contextmanager
def tls_proxy(
    target: str, folder: Path, *, host: str = "127.0.0.1", secret: str | None = None
) -> Iterator[TlsProxy]:
    """Forwards to `target` over plain HTTP. The certificate is for the address `host`."""
    authority, certificate = _certificates(folder, host)
    made: TlsProxy

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = dict(self.headers.items())
            if made.secret is None:
                made.plain += 1
            else:
                found = verified(self.command, self.path, headers, body, made.secret)
                if isinstance(found, str):
                    made.refused.append(found)
                    return self._answer(403, {"message": found})
                made.seen.append(found)
            at = urllib.parse.urlsplit(target)
            connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
            sent = {"content-type": headers.get("content-type", "application/json")}
            connection.request(self.command, self.path, body or None, sent)
            answer = connection.getresponse()
            content, kind = answer.read(), answer.getheader("content-type", "application/json")
            connection.close()
            self._send(answer.status, content, kind)
            return None

        def _answer(self, status: int, body: Any) -> None:
            self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _forward

        def log_message(self, *_: Any) -> None: ...

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    made = TlsProxy(f"https://127.0.0.1:{server.server_port}", authority, secret)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificates(folder: Path, host: str) -> tuple[Path, Path]:
    """(the authority's certificate, key and certificate of the server), as files."""
    ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of our own")])
    authority = (
        _about(name, name, ours)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ours, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    server = _about(subject, name, theirs).add_extension(addresses, critical=False).sign(ours, hashes.SHA256())
    pem, unlocked = serialization.Encoding.PEM, serialization.NoEncryption()
    key = theirs.private_bytes(pem, serialization.PrivateFormat.PKCS8, unlocked)
    files = folder / "authority.pem", folder / "server.pem"
    files[0].write_bytes(authority.public_bytes(pem))
    files[1].write_bytes(key + server.public_bytes(pem))
    return files


def _about(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )
