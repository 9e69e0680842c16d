"""AWS on this machine: moto's S3 and training jobs, and a model registry that checks each request.

moto's own model registry forgets fields and takes what SageMaker refuses, so requests about model packages are
answered here: each one is checked against the service model of botocore first.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore.session
import httpx
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION, ACCOUNT = "eu-central-1", "123456789012"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
"""The bucket that SageMaker makes for an account and a region."""
MODEL = botocore.session.get_session().get_service_model("sagemaker")
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Refusal(Exception):
    """A request that SageMaker refuses."""

    def __init__(self, message: str, code: str = "ValidationException") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Aws:
    """The server and its faults. `operations`: what was called of SageMaker, in order.

    `gone_after`: requests with this in path or operation, after which every connection is closed.
    `busy`: how often a path or operation is answered 429 with Retry-After 3; `lost`: how often it is carried
    out and answered 500; `breaks`: how often half of a body is sent; `denied`: the code with which it is refused.
    """

    url: str = ""
    operations: list[str] = field(default_factory=list)
    gone_after: dict[str, int] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    denied: dict[str, str] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
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

    def heal(self) -> None:
        for faults in (self.gone_after, self.busy, self.lost, self.breaks, self.denied):
            faults.clear()
        self.operations.clear()

    def object(self, key: str, body: bytes, bucket: str = BUCKET, **more: Any) -> str:
        """Put an object, and return its URI."""
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **more)
        return f"s3://{bucket}/{key}"

    def answer(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request about the registry."""
        check(MODEL.operation_model(operation).input_shape, body)
        answered: dict[str, Any] = getattr(self, f"_{operation}")(dict(body))
        return answered

    def _CreateModelPackageGroup(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["ModelPackageGroupName"]
        if name in self.groups:
            raise Refusal(f"Model Package Group already exists: {name}")
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/{name.lower()}"
        own = {"ModelPackageGroupArn": arn, "CreationTime": time.time(), "ModelPackageGroupStatus": "Completed"}
        self.groups[name] = body | own
        return {"ModelPackageGroupArn": arn}

    def _DescribeModelPackageGroup(self, body: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in self._group(body["ModelPackageGroupName"]).items() if k != "Tags"}

    def _ListModelPackageGroups(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = [{k: v for k, v in one.items() if k != "Tags"} for one in self.groups.values()]
        return _page("ModelPackageGroupSummaryList", lines, body)

    def _CreateModelPackage(self, body: dict[str, Any]) -> dict[str, Any]:
        if "Tags" in body:
            raise Refusal("Tags are not supported for versioned model packages")
        token = body.pop("ClientToken")
        for arn, one in self.packages.items():
            if one["token"] == token:
                return {"ModelPackageArn": arn}
        group = self._group(body["ModelPackageGroupName"])["ModelPackageGroupName"]
        number = 1 + sum(one["ModelPackageGroupName"] == group for one in self.packages.values())
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{group.lower()}/{number}"
        own = {"ModelPackageArn": arn, "ModelPackageVersion": number, "ModelPackageStatus": "Completed"}
        more = {"ModelPackageName": group, "CreationTime": time.time(), "token": token}
        people = {"CreatedBy": {"UserProfileName": "alice"}}
        details = {"ModelPackageStatusDetails": {"ValidationStatuses": []}}
        approval = {"ModelApprovalStatus": body.get("ModelApprovalStatus", "PendingManualApproval")}
        self.packages[arn] = body | own | more | people | details | approval
        return {"ModelPackageArn": arn}

    def _UpdateModelPackage(self, body: dict[str, Any]) -> dict[str, Any]:
        package = self._package(body["ModelPackageArn"])
        properties = package.get("CustomerMetadataProperties", {}) | body.pop("CustomerMetadataProperties", {})
        for name in body.pop("CustomerMetadataPropertiesToRemove", ()):
            properties.pop(name, None)
        if len(properties) > 50:
            raise Refusal("more than 50 CustomerMetadataProperties")
        package |= body | {"CustomerMetadataProperties": properties, "LastModifiedTime": time.time()}
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _DescribeModelPackage(self, body: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in self._package(body["ModelPackageName"]).items() if k != "token"}

    def _ListModelPackages(self, body: dict[str, Any]) -> dict[str, Any]:
        group = self._group(body["ModelPackageGroupName"])["ModelPackageGroupName"]
        names = MODEL.shape_for("ModelPackageSummary").members  # type: ignore[attr-defined] - a structure
        lines = [
            {name: one[name] for name in names if name in one}
            for one in self.packages.values()
            if one["ModelPackageGroupName"] == group
        ]
        return _page("ModelPackageSummaryList", lines[::-1], body)

    def _ListTags(self, body: dict[str, Any]) -> dict[str, Any]:
        for group in self.groups.values():
            if group["ModelPackageGroupArn"] == body["ResourceArn"]:
                return {"Tags": group.get("Tags", [])}
        raise Refusal(f"{body['ResourceArn']} takes no tags")

    def _AddTags(self, body: dict[str, Any]) -> dict[str, Any]:
        for group in self.groups.values():
            if group["ModelPackageGroupArn"] == body["ResourceArn"]:
                tags = {one["Key"]: one for one in [*group.get("Tags", []), *body["Tags"]]}
                if len(tags) > 50:
                    raise Refusal("more than 50 tags")
                group["Tags"] = list(tags.values())
                return {"Tags": group["Tags"]}
        raise Refusal(f"{body['ResourceArn']} takes no tags")

    def _group(self, name: str) -> dict[str, Any]:
        own = name.rpartition("/")[2]
        if own not in self.groups:
            raise Refusal(f"ModelPackageGroup {name} does not exist.")
        return self.groups[own]

    def _package(self, arn: str) -> dict[str, Any]:
        if arn not in self.packages:
            raise Refusal(f"ModelPackage {arn} does not exist.")
        return self.packages[arn]


def _page(name: str, lines: list[dict[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    begin, most = int(body.get("NextToken", 0)), min(int(body.get("MaxResults", 10)), 3)
    more = {"NextToken": str(begin + most)} if begin + most < len(lines) else {}
    return {name: lines[begin : begin + most], **more}


def check(shape: Any, value: Any, path: str = "") -> None:
    """Raise Refusal when a value is not as the service model has it: type, names, limits, pattern, choices."""
    match shape.type_name:
        case "structure":
            _check_structure(shape, value, path)
        case "list":
            _limits(shape, len(value), path)
            for place, one in enumerate(value):
                check(shape.member, one, f"{path}[{place}]")
        case "map":
            _limits(shape, len(value), path)
            for key, one in value.items():
                check(shape.key, key, f"{path} key {key!r:.40}")
                check(shape.value, one, f"{path}.{key}")
        case "string":
            _check_text(shape, value, path)
        case "integer" | "long":
            _limits(shape, value, path)


def _check_structure(shape: Any, value: Any, path: str) -> None:
    if unknown := value.keys() - shape.members.keys():
        raise Refusal(f"{path}: unknown {sorted(unknown)}")
    if missing := set(shape.required_members) - value.keys():
        raise Refusal(f"{path}: missing {sorted(missing)}")
    for name, one in value.items():
        check(shape.members[name], one, f"{path}.{name}".strip("."))


def _check_text(shape: Any, value: str, path: str) -> None:
    _limits(shape, len(value.encode("utf-16-le")) // 2, path)  # as Java counts
    if (choices := shape.enum) and value not in choices:
        raise Refusal(f"{path}: {value!r} is none of {choices}")
    if (pattern := shape.metadata.get("pattern")) and not _matches(pattern, value):
        raise Refusal(f"{path}: {value!r:.80} does not match {pattern}")


def _limits(shape: Any, size: float, path: str) -> None:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", float("inf"))
    if not least <= size <= most:
        raise Refusal(f"{path}: {size} is not between {least} and {most}")


def _matches(pattern: str, value: str) -> bool:
    """Return whether a text matches a pattern of AWS. Python has no classes of Unicode."""
    if pattern.startswith(r"([\p{L}\p{Z}\p{N}_.:"):  # keys, values and tags
        return all(unicodedata.category(one)[0] in "LZN" or one in "_.:/=+-@" for one in value)
    if r"\p{" in pattern:  # everything but control characters and the like
        return not any(unicodedata.category(one).startswith("C") for one in value)
    return re.fullmatch(pattern, value) is not None and not set("\u0085\u2028\u2029") & set(value)


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

        if not operation or not hasattr(self._aws, f"_{operation}"):
            answered = self._moto(environ, unsaid if lost else start)
            if not lost:
                return answered
            b"".join(answered)
            return _error(start, "500 Internal Server Error", "InternalError", "lost", registry=bool(operation))
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        try:
            with self._lock:
                found = self._aws.answer(operation, body)
        except Refusal as e:
            return _error(start, "400 Bad Request", e.code, str(e))
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
    start(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(raw))), *headers])
    return [raw]


@contextmanager
def aws_server() -> Iterator[Aws]:
    """Run the server on a free port."""
    aws = Aws()
    front = Front(aws, DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, front, threaded=True)
    server.daemon_threads = True
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
