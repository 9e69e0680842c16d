"""A client of an S3 server, by `minio`: synchronous, so it is called from threads.

Imported only by what reads or writes objects.
"""

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
    """`region` is the bucket's: requests are signed for it, and other stores than AWS's take any.

    Waits at most 5 s for a connection and `read` seconds for an answer; repeats `retries` times what the
    server could not do at once.
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
