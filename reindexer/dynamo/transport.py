"""A lean way to DynamoDB and its streams for calls that carry records: about a third of boto3's CPU a record.

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
from typing import TYPE_CHECKING, Any, TypedDict, cast

import msgspec
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

#: Service → Python name of a call → its X-Amz-Target. Only what carries records.
_LEAN = {
    "dynamodb": {
        "scan": "DynamoDB_20120810.Scan",
        "query": "DynamoDB_20120810.Query",
        "batch_execute_statement": "DynamoDB_20120810.BatchExecuteStatement",
        "batch_get_item": "DynamoDB_20120810.BatchGetItem",
        "put_item": "DynamoDB_20120810.PutItem",
        "update_item": "DynamoDB_20120810.UpdateItem",
        "delete_item": "DynamoDB_20120810.DeleteItem",
    },
    "dynamodbstreams": {"get_records": "DynamoDBStreams_20120810.GetRecords"},
}
_SIGNED_AS = "dynamodb"  # both services


class _StreamRecord(TypedDict, total=False):
    ApproximateCreationDateTime: float
    Keys: dict[str, Any]
    NewImage: dict[str, Any] | None
    OldImage: dict[str, msgspec.Raw] | None
    SequenceNumber: str


class _Record(TypedDict, total=False):
    eventName: str
    userIdentity: dict[str, Any] | None
    dynamodb: _StreamRecord


class _Records(TypedDict, total=False):
    """What is used of a page of a stream. Of old images it is the names: values take as long as all else."""

    Records: list[_Record]
    NextShardIterator: str | None


#: By call, how its answers are read; those of all others as they are.
_READ: dict[str, Callable[[bytes], Any]] = {"GetRecords": msgspec.json.Decoder(_Records).decode}


class LeanClient:
    """Looks like boto3's client of DynamoDB or of its streams; one attempt per call, as there. Thread-safe.

    Times in its answers are as they travel: seconds since 1970, where boto3 makes a datetime of them.
    It raises what boto3 raises: `ClientError`, botocore's HTTP errors, `ResponseParserError`, `ChecksumError`;
    and `SigningFailed`, where there are no credentials to sign with.
    """

    def __init__(self, client: Any, session: Session, config: Config, signer: Signer) -> None:
        self._boto3 = client
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
        for name, target in _LEAN[client.meta.service_model.service_name].items():
            setattr(self, name, self._caller(target))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._boto3, name)

    def _caller(self, target: str) -> Callable[..., dict[str, Any]]:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": target,
            "Accept-Encoding": "identity",  # the checksum is over what travels, and DynamoDB's is uncompressed
        }
        operation = target.rpartition(".")[2]

        def call(**parameters: Any) -> dict[str, Any]:
            body = as_json(parameters)
            response = self._http.send(self._signed(body, headers).prepare())
            return _parsed(response, operation)

        return call

    def _signed(self, body: bytes, headers: Mapping[str, str]) -> AWSRequest:
        credentials = self._signer.credentials()
        request = AWSRequest("POST", self._url, data=body, headers=headers)
        SigV4Auth(credentials, _SIGNED_AS, self._region).add_auth(request)
        return request


def as_json(value: object) -> bytes:
    """As it travels: binary in base64."""
    return orjson.dumps(value, default=_binary)


def _binary(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not a DynamoDB attribute value")


def _parsed(response: AWSResponse, operation: str) -> dict[str, Any]:
    body: bytes = response.content
    check_crc32(response.headers, body)
    try:
        read = _READ.get(operation, orjson.loads) if response.status_code < 300 else orjson.loads
        answer = read(body) if body else {}
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
    answer["ResponseMetadata"] = {"HTTPHeaders": response.headers}
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
