"""Calls of boto3 for a target: in a thread, with time limits, and with the errors of a target."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import boto3
import botocore.exceptions as errors
from botocore.config import Config

from regista.wire.aws_errors import Kind, kind_of
from services.mirror.targets.base import Refused, Unavailable
from services.mirror.targets.retry_after import seconds

T = TypeVar("T")
CONNECT_SECONDS, READ_SECONDS = 10, 60
PART = 16 << 20
"""Bytes of a part of an upload: the memory that one takes, unless its object is larger than 144 GB."""
MOST_PARTS = 9_000
"""S3 takes 10,000."""
_RENEW = "Renew the credentials or rights of the mirror; it reads them again at its next attempt."
_SHOWN = 300


class AwsCalls:
    """Clients of one region. boto3 repeats what S3 is sent, as it is always the same; the mirror the rest."""

    def __init__(self, region: str, profile: str, endpoint: str) -> None:
        def config(attempts: int) -> Config:
            return Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": attempts},
                user_agent_extra="regista-mirror",
                s3={"addressing_style": "path"} if endpoint else {},
            )

        named = {"endpoint_url": endpoint or None}
        try:
            session = boto3.session.Session(region_name=region, profile_name=profile or None)
            self.sagemaker: Any = session.client("sagemaker", config=config(1), **named)
            self.s3: Any = session.client("s3", config=config(4), **named)
        except (errors.BotoCoreError, ValueError) as e:
            raise Refused(f"The settings of the SageMaker target are wrong: {_text(e)}.") from e

    async def close(self) -> None:
        """Close connections."""
        for client in (self.sagemaker, self.s3):
            await asyncio.to_thread(client.close)

    async def call(self, function: Callable[..., Any], **query: Any) -> dict[str, Any]:
        """Return an answer. Raises Refused, Unavailable and LookupError for what does not exist."""
        try:
            answer: dict[str, Any] = await asyncio.to_thread(partial(function, **query))
        except errors.ClientError as e:
            raise _error(e) from e
        except errors.ParamValidationError as e:
            raise Refused(f"SageMaker takes no such request: {_text(e)}") from e
        except errors.BotoCoreError as e:
            lacking = not isinstance(e, errors.HTTPClientError | errors.ConnectionError)
            raise Unavailable(f"AWS cannot be called: {_text(e)}." + (f" {_RENEW}" if lacking else "")) from e
        return answer

    async def head(self, bucket: str, key: str) -> dict[str, Any] | None:
        """Return what S3 states about an object, None when there is none."""
        try:
            return await self.call(self.s3.head_object, Bucket=bucket, Key=key)
        except LookupError:
            return None

    async def upload(
        self, bucket: str, key: str, pieces: AsyncIterator[bytes], size: int, **more: Any
    ) -> None:
        """Store an object of this size. It is there only when all pieces came."""
        part = max(PART, -(-size // MOST_PARTS))
        where = {"Bucket": bucket, "Key": key}
        try:
            if size <= part:
                body = b"".join([piece async for piece in pieces])
                await self.call(self.s3.put_object, Body=body, **where, **more)
                return
            created = await self.call(self.s3.create_multipart_upload, **where, **more)
            named = {**where, "UploadId": created["UploadId"]}
            try:
                await self._parts(pieces, part, named)
            except BaseException:
                with suppress(Exception):
                    await asyncio.shield(self.call(self.s3.abort_multipart_upload, **named))
                raise
        except LookupError as e:
            raise Refused(f"The bucket {bucket} does not exist: create it, or change the settings.") from e

    async def _parts(self, pieces: AsyncIterator[bytes], size: int, named: dict[str, Any]) -> None:
        done: list[dict[str, Any]] = []
        buffer = bytearray()

        async def send(content: bytes) -> None:
            number = len(done) + 1
            sent = await self.call(self.s3.upload_part, PartNumber=number, Body=content, **named)
            sums = {name: value for name, value in sent.items() if name.startswith("Checksum") and value}
            done.append({"PartNumber": number, "ETag": sent["ETag"], **sums})

        async for piece in pieces:
            buffer += piece
            while len(buffer) >= size:
                await send(bytes(buffer[:size]))
                del buffer[:size]
        if buffer:
            await send(bytes(buffer))
        await self.call(self.s3.complete_multipart_upload, MultipartUpload={"Parts": done}, **named)


def _error(error: errors.ClientError) -> Exception:
    problem = error.response.get("Error") or {}
    meta: Any = error.response.get("ResponseMetadata") or {}
    status = int(meta.get("HTTPStatusCode") or 0)
    detail = f"AWS answers {_text(error)}"
    match kind_of(str(problem.get("Code") or ""), status, str(problem.get("Message") or "")):
        case Kind.BUSY:
            return Unavailable(detail, seconds(meta.get("HTTPHeaders") or {}))
        case Kind.CREDENTIALS | Kind.DENIED:
            return Unavailable(f"{detail}. {_RENEW}")
        case Kind.MISSING:
            return LookupError(detail)
        case Kind.CHANGED | Kind.REFUSED:
            return Refused(detail)


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:_SHOWN]
