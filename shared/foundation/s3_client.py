"""Make clients of an S3 server with `minio`. They are synchronous: call them from threads.

A process that serves no file does not import this module: `minio` takes memory.
"""

from __future__ import annotations

import hashlib
import os
import threading
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import EnvAWSProvider, IamAwsProvider, Provider, StaticProvider
from minio.error import MinioException
from minio.signer import sign_v4_s3
from minio.sse import Sse, SseKMS
from minio.time import to_amz_date, utcnow

from shared.foundation.s3 import S3Server

BUSY = (500, 502, 503, 504)


def client(server: S3Server, *, connections: int = 4, read: float = 60, retries: int = 2) -> Minio:
    """Return a client of an S3 server.

    `connections` is the size of the pool. `read` is the time limit of an answer in seconds; a connection has
    5 s. `retries` is how often a request is repeated after an error of BUSY.
    """
    http = urllib3.PoolManager(
        maxsize=connections,
        timeout=urllib3.Timeout(connect=5, read=read),
        cert_reqs="CERT_REQUIRED",
        retries=urllib3.Retry(total=retries, backoff_factor=0.2, status_forcelist=BUSY) if retries else False,
    )
    made = Minio(
        server.endpoint,
        secure=server.secure,
        http_client=http,
        region=server.region,
        credentials=credentials(server),
    )
    if server.virtual_host:
        made.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return made


@cache
def credentials(server: S3Server) -> Provider:
    """Return the credentials of a server, the same object each time: its key, or those of the process."""
    if server.access_key:
        return StaticProvider(server.access_key, server.secret_key, server.session_token or None)
    return _OfProcess(server)


class _OfProcess(Provider):
    """Looks for credentials in the process, one thread at a time. What is missing is an error of `minio`."""

    def __init__(self, server: S3Server) -> None:
        http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=2, read=10),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=BUSY),
        )
        role = IamAwsProvider(
            custom_endpoint=server.sts_endpoint or None, region=server.region, http_client=http
        )
        self._found = EnvAWSProvider() if os.environ.get("AWS_ACCESS_KEY_ID") else role
        self._one_at_a_time = threading.Lock()

    def retrieve(self) -> Credentials:
        try:
            with self._one_at_a_time:
                return self._found.retrieve()
        except (ValueError, KeyError, OSError, urllib3.exceptions.HTTPError) as e:
            raise MinioException(
                "no credentials: set the access key and the secret key, or give the process a role "
                f"(AWS_WEB_IDENTITY_TOKEN_FILE, that of a container or of an instance): {e}"
            ) from e


def encryption(kms_key: str) -> Sse | None:
    """Return how the server encrypts what is stored: by a key of its key management, or as it does itself."""
    return SseKMS(kms_key, {}) if kms_key else None


def put_if_absent(
    made: Minio, server: S3Server, bucket: str, key: str, content: bytes, kms_key: str = ""
) -> urllib3.BaseHTTPResponse:
    """Send one PUT with `If-None-Match: *`, which `minio` does not offer, and return the answer.

    The address is `minio`'s, without the signature of its query: every header is signed here.
    """
    url = urlsplit(made.presigned_put_object(bucket, key))._replace(query="")
    owner, now, digest = credentials(server).retrieve(), utcnow(), hashlib.sha256(content).hexdigest()
    sse = encryption(kms_key)
    headers: dict[str, Any] = {
        "Host": url.netloc,
        "If-None-Match": "*",
        "x-amz-content-sha256": digest,
        "x-amz-date": to_amz_date(now),
        **(sse.headers() if sse else {}),
        **({"X-Amz-Security-Token": owner.session_token} if owner.session_token else {}),
    }
    signed = sign_v4_s3(
        method="PUT",
        url=url,
        region=server.region,
        headers=headers,
        credentials=owner,
        content_sha256=digest,
        date=now,
    )
    with urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60)) as http:
        return http.request("PUT", url.geturl(), body=content, headers=cast("dict[str, str]", signed))
