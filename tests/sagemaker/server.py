"""AWS on this machine: moto's S3 and training jobs, and a model registry that checks each request.

moto's own model registry drops fields and takes what SageMaker refuses: it answers `without_registry` only.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import httpx
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import ThreadedWSGIServer

from tests.sagemaker.registry import ACCOUNT, REGION, Registry
from tests.sagemaker.shapes import Refusal

BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
"""The bucket that SageMaker makes for an account and a region."""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AK",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Aws:
    """The server and its faults. `operations`: what was called of SageMaker, in order.

    `gone_after`: requests with this in path or operation, after which every connection is closed.
    `busy`: how often a path or operation is answered 429 with Retry-After 3; `lost`: how often it is carried
    out and answered 500; `breaks`: how often half of a body is sent; `denied`: the code of its refusal.
    `without_registry`: moto answers about model packages, too.
    """

    url: str = ""
    operations: list[str] = field(default_factory=list)
    gone_after: dict[str, int] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    denied: dict[str, str] = field(default_factory=dict)
    without_registry: bool = False
    registry: Registry = field(default_factory=Registry)
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a client of boto3, which does not repeat."""
        if service not in self.clients:
            self.clients[service] = self._client(service)
        return self.clients[service]

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload] - any service
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="AK",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    @property
    def groups(self) -> dict[str, dict[str, Any]]:
        return self.registry.groups

    @property
    def packages(self) -> dict[str, dict[str, Any]]:
        return self.registry.packages

    def heal(self) -> None:
        self.without_registry = False
        for faults in (self.gone_after, self.busy, self.lost, self.breaks, self.denied):
            faults.clear()
        self.operations.clear()

    def object(self, key: str, body: bytes, bucket: str = BUCKET, **more: Any) -> str:
        """Put an object, and return its URI."""
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **more)
        return f"s3://{bucket}/{key}"


class Front:
    """The WSGI application: faults, then the registry, then moto."""

    def __init__(self, aws: Aws, moto: Wsgi) -> None:
        self._aws = aws
        self._moto = moto
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        operation = str(environ.get("HTTP_X_AMZ_TARGET") or "").removeprefix("SageMaker.")
        what = operation or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        if operation:
            self._aws.operations.append(operation)
        if any(left <= 0 for left in self._aws.gone_after.values()):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        self._counted(self._aws.gone_after, what)
        for part, code in self._aws.denied.items():
            if part in what:
                return _error(start, "400 Bad Request", code, "it is denied", registry=bool(operation))
        if self._counted(self._aws.busy, what):
            wait = ("Retry-After", "3")
            return _error(start, "429 Slow", "SlowDown", "slow down", wait, registry=bool(operation))
        answered = self._answered(environ, start, operation, lost=self._counted(self._aws.lost, what))
        if self._counted(self._aws.breaks, what):
            whole = b"".join(answered)
            return [whole[: len(whole) // 2]]
        return answered

    def _answered(
        self, environ: dict[str, Any], start: Callable[..., Any], operation: str, *, lost: bool
    ) -> Iterable[bytes]:
        def unsaid(*_: Any) -> None:
            """Drop the answer."""

        if self._aws.without_registry or not self._aws.registry.has(operation):
            answered = self._moto(environ, unsaid if lost else start)
            if not lost:
                return answered
            b"".join(answered)
            return _error(
                start, "500 Internal Server Error", "InternalError", "lost", registry=bool(operation)
            )
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        try:
            with self._lock:
                found = self._aws.registry.answer(operation, body)
        except Refusal as e:
            return _error(start, "400 Bad Request", "ValidationException", str(e))
        if lost:
            return _error(start, "500 Internal Server Error", "InternalFailure", "lost")
        raw = json.dumps(found).encode()
        start("200 OK", [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(raw)))])
        return [raw]

    def _counted(self, faults: dict[str, int], what: str) -> bool:
        for part, left in faults.items():
            if part in what and left > 0:
                faults[part] = left - 1
                return True
        return False


def _error(
    start: Callable[..., Any],
    status: str,
    code: str,
    message: str,
    *headers: tuple[str, str],
    registry: bool = True,
) -> list[bytes]:
    """Answer an error in the form of SageMaker's `registry`, or of S3."""
    raw = json.dumps({"__type": code, "message": message}).encode()
    if not registry:
        raw = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    start(
        status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(raw))), *headers]
    )
    return [raw]


@contextmanager
def aws_server() -> Iterator[Aws]:
    """Run the server on a free port."""
    aws = Aws()
    front = Front(aws, DomainDispatcherApplication(create_backend_app))
    server = ThreadedWSGIServer("127.0.0.1", 0, front)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    aws.url = f"http://127.0.0.1:{server.server_port}"
    try:
        httpx.post(f"{aws.url}/moto-api/reset").raise_for_status()  # what it has belongs to the process
        aws.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield aws
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
