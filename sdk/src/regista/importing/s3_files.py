"""The files of a version in S3: those that lie below what the caller named."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from regista.errors import Invalid
from regista.importing.aws import Aws
from regista.importing.files import Files, SourceFile, Unreachable
from regista.wire import limits

_MD5 = re.compile(r"[0-9a-f]{32}")
DIRECTORY = "/"


@dataclass(frozen=True, slots=True)
class Location:
    """An object or a folder in S3. `etag`: what the registry states about the object, or ""."""

    bucket: str
    key: str
    etag: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def is_below(self, root: Location) -> bool:
        """Return whether it is in the bucket and below the prefix of another one."""
        prefix = root.key.rstrip("/")
        return self.bucket == root.bucket and f"{self.key}/".startswith(f"{prefix}/" if prefix else "")


def read_location(uri: str, etag: str = "") -> Location | None:
    """Return where an `s3://bucket/key` is, None for anything else."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc:
        return None
    key = uri.split("://", 1)[1].partition("/")[2]
    return Location(parts.netloc, key, etag.strip('"'))


def roots_of(texts: Sequence[str]) -> list[Location]:
    """Return what the caller allows to be read. Raises Invalid."""
    found = []
    for text in texts:
        location = read_location(text)
        if location is None:
            raise Invalid(
                "invalid_source",
                f"{text!r:.120} is no location in S3",
                advice="Write --artifacts-below s3://BUCKET or s3://BUCKET/PREFIX.",
            )
        found.append(location)
    return found


class S3Files(Files):
    """One or several objects. `locations`: where the files are, by the folder that they get in the artifact.

    A location that ends with a slash is a folder, any other one an object.
    """

    def __init__(self, aws: Aws, locations: Mapping[str, Location], roots: Sequence[Location]) -> None:
        for location in locations.values():
            if not any(location.is_below(root) for root in roots):
                raise Unreachable(
                    f"name its bucket or a folder above it with --artifacts-below s3://{location.bucket}"
                )
        self._aws = aws
        self._locations = locations
        self._found: dict[str, Location] = {}

    async def entries(self) -> list[SourceFile]:
        found: list[SourceFile] = []
        for folder, location in self._locations.items():
            if location.key.endswith(DIRECTORY) or not location.key:
                found += await self._folder(folder, location)
            else:
                found.append(await self._object(folder, location, location.key.rpartition("/")[2]))
            self._check(len(found), 0)
        return sorted(found, key=lambda file: file.path)

    async def read(self, path: str) -> AsyncIterator[bytes]:
        location = self._found[path]
        async for piece in self._aws.object(location.bucket, location.key, location.etag):
            yield piece

    async def _folder(self, folder: str, location: Location) -> list[SourceFile]:
        keys: list[str] = []
        token: dict[str, str] = {}
        while True:
            query = {"Bucket": location.bucket, "Prefix": location.key, **token}
            page = await self._aws.call(str(location), partial(self._aws.s3.list_objects_v2, **query))
            keys += [one["Key"] for one in page.get("Contents") or () if not one["Key"].endswith(DIRECTORY)]
            self._check(len(keys), 0)
            if not page.get("NextContinuationToken"):
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        locations = [Location(location.bucket, key) for key in keys]
        return [await self._object(folder, one, one.key[len(location.key) :]) for one in locations]

    async def _object(self, folder: str, location: Location, name: str) -> SourceFile:
        """Return a file with the digests that S3 has. Raises Unreachable for another object than stated."""
        answer = await self._aws.head(location.bucket, location.key)
        etag = str(answer.get("ETag") or "").strip('"')
        if location.etag and location.etag != etag:
            raise Unreachable(f"it was replaced after it was registered: its ETag is {etag:.80}")
        path = f"{folder}/{name}".strip("/")
        if len(path.encode()) > limits.PATH_BYTES:
            raise Unreachable(f"the path of {path[:80]!r} is too long")
        self._found[path] = Location(location.bucket, location.key, etag)
        return SourceFile(path, int(answer["ContentLength"]), digests_of(answer))


def digests_of(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a whole object that S3 states: SHA-256 if it has one, MD5.

    The ETag is the MD5 of an object that was uploaded in one piece and is not encrypted with a key of KMS.
    """
    found: dict[str, str] = {}
    checksum = str(answer.get("ChecksumSHA256") or "")
    if checksum and answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in checksum:
        with suppress(binascii.Error, ValueError):
            found["sha256"] = base64.b64decode(checksum, validate=True).hex()
    etag = str(answer.get("ETag") or "").strip('"')
    plain = answer.get("ServerSideEncryption") in {None, "AES256"} and not answer.get("SSECustomerAlgorithm")
    if _MD5.fullmatch(etag) and plain:
        found["md5"] = etag
    return found
