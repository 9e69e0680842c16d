"""Make clients of an S3 server with `minio`. They are synchronous: call them from threads."""

from __future__ import annotations

import urllib3
from minio import Minio

BUSY = (500, 502, 503, 504)


def client(
    endpoint: str,
    access_key: str,
    secret_key: str,
    *,
    secure: bool,
    region: str,
    connections: int = 4,
    read: float = 60,
    retries: int = 2,
) -> Minio:
    """Return a client of the S3 server at `endpoint`.

    `secure`: use TLS. `region` is the bucket's region: requests are signed for it; stores other than AWS
    accept any. `connections` is the size of the pool. `read` is the time limit of an answer in seconds; a
    connection has 5 s. `retries` is how often a request is repeated after an error of BUSY.
    """
    http = urllib3.PoolManager(
        maxsize=connections,
        timeout=urllib3.Timeout(connect=5, read=read),
        cert_reqs="CERT_REQUIRED",
        retries=urllib3.Retry(total=retries, backoff_factor=0.2, status_forcelist=BUSY) if retries else False,
    )
    return Minio(
        endpoint, access_key=access_key, secret_key=secret_key, secure=secure, http_client=http, region=region
    )
