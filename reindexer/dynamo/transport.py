"""A lean way to DynamoDB for the calls that carry records: about a third of boto3's CPU per record.

boto3 spends most of a batch call on building and walking its request and response models. Here the request
is JSON as DynamoDB documents it, and botocore does what is delicate: credentials, signature, connections, TLS.
The exceptions are botocore's own, so that whoever handles them need not know which way a call went. All other
calls, and everything about the client's configuration, are boto3's.
"""

from __future__ import annotations

import base64
import socket
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ChecksumError, ClientError
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies

from reindexer.dynamo.credentials import Signer

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

#: Python name of a call → name of the API operation. Only what carries records.
_LEAN = {
    "scan": "Scan",
    "query": "Query",
    "batch_execute_statement": "BatchExecuteStatement",
    "batch_get_item": "BatchGetItem",
    "put_item": "PutItem",
    "update_item": "UpdateItem",
    "delete_item": "DeleteItem",
}


class LeanClient:
    """Looks like boto3's DynamoDB client; one attempt per call, as there. Thread-safe.

    It raises what boto3 raises: `ClientError`, botocore's HTTP errors, `ResponseParserError`, `ChecksumError`;
    and `SigningFailed`, where there are no credentials to sign with.
    """

    def __init__(self, client: DynamoDBClient, session: Session, config: Config, signer: Signer) -> None:
        self._boto3: Any = client
        self._signer = signer
        self._url = client.meta.endpoint_url
        self._region = client.meta.region_name
        settings: Any = config  # botocore sets a Config's fields dynamically
        self._http = URLLib3Session(
            verify=session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(self._url),
            timeout=cast(
                int, (settings.connect_timeout, settings.read_timeout)
            ),  # a pair, as botocore passes it
            max_pool_connections=settings.max_pool_connections,
            socket_options=cast(
                list[str],  # the stubs' word; they are triples, as botocore itself passes them
                [
                    # Header and body go in two packets; without this a call waits 40 ms between them.
                    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
                    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                ],
            ),
        )
        for name, operation in _LEAN.items():
            setattr(self, name, self._caller(operation))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._boto3, name)

    def _caller(self, operation: str) -> Callable[..., dict[str, Any]]:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Accept-Encoding": "identity",  # the checksum is over what travels, and DynamoDB's is uncompressed
        }

        def call(**parameters: Any) -> dict[str, Any]:
            body = orjson.dumps(parameters, default=_binary)
            response = self._http.send(self._signed(body, headers).prepare())
            return _parsed(response, operation)

        return call

    def _signed(self, body: bytes, headers: Mapping[str, str]) -> AWSRequest:
        credentials = self._signer.credentials()
        request = AWSRequest("POST", self._url, data=body, headers=headers)
        SigV4Auth(credentials, "dynamodb", self._region).add_auth(request)
        return request


def _binary(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is no DynamoDB attribute value")


def _parsed(response: AWSResponse, operation: str) -> dict[str, Any]:
    body: bytes = response.content
    check_crc32(response.headers, body)
    try:
        answer = orjson.loads(body) if body else {}
        if not isinstance(answer, dict):
            raise ValueError("not a JSON object")
    except ValueError as error:
        if response.status_code < 300:  # HTTP's own classes: 2xx is success
            raise ResponseParserError(f"{operation}: the answer is not valid JSON: {error}") from error
        answer = {}
    if response.status_code >= 300:
        raise _client_error(response, answer, operation)
    if b'"B":' in body or b'"BS":' in body:
        _decode_binary(answer)
    return answer


def check_crc32(headers: Mapping[str, str], body: bytes) -> None:
    """Refuse an answer that was damaged on the way: with its retries off botocore would let it pass."""
    expected = headers.get("x-amz-crc32")
    if expected is not None and zlib.crc32(body) != int(expected):
        raise ChecksumError(
            checksum_type="crc32", expected_checksum=expected, actual_checksum=str(zlib.crc32(body))
        )


def _client_error(response: AWSResponse, answer: dict[str, Any], operation: str) -> ClientError:
    """As botocore builds it: code and message under `Error`, modelled members beside it."""
    code = str(answer.pop("__type", "") or response.headers.get("x-amzn-errortype") or response.status_code)
    message = str(answer.pop("message", "") or answer.pop("Message", "") or "")
    if "Item" in answer:
        _decode_binary(answer)
    details: Any = {
        **answer,
        "Error": {"Code": code.rsplit("#", 1)[-1].split(":", 1)[0], "Message": message},
        "ResponseMetadata": {
            "HTTPStatusCode": response.status_code,
            "HTTPHeaders": dict(response.headers),
            "RetryAttempts": 0,
        },
    }
    return ClientError(details, operation)


def _decode_binary(value: Any) -> None:
    """Base64 to bytes, in place, wherever an attribute value is binary; keys named `B` are left alone."""
    if isinstance(value, list):
        for entry in value:
            _decode_binary(entry)
    elif isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("B"), str):
            value["B"] = base64.b64decode(value["B"])
        elif len(value) == 1 and isinstance(value.get("BS"), list):
            value["BS"] = [
                base64.b64decode(entry) if isinstance(entry, str) else entry for entry in value["BS"]
            ]
        else:
            for entry in value.values():
                _decode_binary(entry)
