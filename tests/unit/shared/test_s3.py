"""The client of an S3 server."""

from __future__ import annotations

from shared.foundation.s3 import S3Server
from shared.foundation.s3_client import client


def test_requests_are_signed_for_the_buckets_region() -> None:
    abroad = client(S3Server("127.0.0.1:9", "key", "secret", secure=True, region="eu-central-1"))
    assert "%2Feu-central-1%2Fs3%2Faws4_request" in abroad.presigned_get_object("bucket", "object")
