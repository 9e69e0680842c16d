"""Calls to AWS: boto3 blocks, so each call has a thread and time limits. It is repeated here only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from regista.errors import Forbidden, Invalid, NotConfigured, NotFound, RegistaError, Unauthorized
from regista.importing.requests import (
    ATTEMPTS_AT_FIRST,
    BROKE_OFF,
    CONNECT_SECONDS,
    READ_SECONDS,
    SHOWN,
    SourceBroken,
    Waits,
)
from regista.wire.aws_errors import Kind, kind_of

T = TypeVar("T")
CHUNK = 512 << 10
AT_ONCE = 16
"""Connections of one client."""
CREDENTIALS = (
    "Sign in at AWS again (`aws sso login`, or new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
    "AWS_SESSION_TOKEN), and run the command again: it continues where it stopped."
)


class Aws:
    """Clients of one region, with credentials of AWS's default chain. `endpoint`: another address, or ""."""

    def __init__(self, region: str, endpoint: str = "", waits: Waits | None = None) -> None:
        try:
            import boto3  # noqa: PLC0415 - the extra `sagemaker`
            import botocore.exceptions  # noqa: PLC0415
            from botocore.config import Config  # noqa: PLC0415
        except ImportError:
            raise NotConfigured(
                "aws_client_missing",
                "the client of AWS is not installed",
                advice="Install it: pip install 'regista[sagemaker]'.",
            ) from None
        self.waits = waits or Waits()
        self._errors: Any = botocore.exceptions
        self._answered = False
        style = {"addressing_style": "path"} if endpoint else {}
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": 1},
            max_pool_connections=AT_ONCE,
            user_agent_extra="regista-import",
            s3=style,
        )
        try:
            session = boto3.session.Session(region_name=region or None)
            named = {"endpoint_url": endpoint or None, "config": config}
            self.sagemaker = session.client("sagemaker", **named)
            self.s3 = session.client("s3", **named)
        except (botocore.exceptions.BotoCoreError, ValueError) as e:
            raise NotConfigured(
                "aws_not_configured", _text(e), advice="Check --region and AWS_PROFILE."
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        for client in (self.sagemaker, self.s3):
            with suppress(self._errors.BotoCoreError):
                client.close()

    async def call(self, what: str, function: Callable[[], T]) -> T:
        """Return what a call of boto3 answers. `what` names it in errors. A busy service is waited for.

        Raises NotFound, Forbidden, Unauthorized, Invalid and SourceBroken.
        """
        attempt, most = 0, self.waits.attempts
        while True:
            retry_after: str | None = None
            try:
                found = await asyncio.to_thread(function)
            except self._errors.ClientError as e:
                self._answered = True
                refused, retry_after = self._refused(what, e)
                if refused is not None:
                    raise refused from None
                why = _text(e)
            except self._errors.BotoCoreError as e:
                if not self._is_unreachable(e):
                    raise self._misconfigured(what, e) from None
                most = self.waits.attempts if self._answered else min(most, ATTEMPTS_AT_FIRST)
                why = type(e).__name__
            else:
                self._answered = True
                return found
            attempt += 1
            if attempt >= most:
                detail = f"{what}: AWS does not answer in {attempt} attempts: {why}"
                raise SourceBroken("source_unavailable", detail)
            await self.waits.sleep(self.waits.pause(attempt - 1, retry_after))

    async def pages(self, client: Any, operation: str, **query: Any) -> AsyncIterator[dict[str, Any]]:
        """Yield the pages of a list of SageMaker."""
        token: dict[str, Any] = {}
        while True:
            answer = await self.call(operation, partial(getattr(client, operation), **query, **token))
            yield answer
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    async def head(self, bucket: str, key: str) -> dict[str, Any]:
        """Return what S3 states about an object."""
        where, query = f"s3://{bucket}/{key}", {"Bucket": bucket, "Key": key, "ChecksumMode": "ENABLED"}
        try:
            found: dict[str, Any] = await self.call(where, partial(self.s3.head_object, **query))
        except (Forbidden, Invalid):  # an answer to HEAD has no body, so it does not state the reason
            found = await self.call(where, partial(self.s3.get_object, **query))
            found["Body"].close()
        return found

    async def object(self, bucket: str, key: str, etag: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an object while it has this ETag. One that breaks off raises SourceBroken."""
        where = f"s3://{bucket}/{key}"
        answer = await self.call(where, partial(self.s3.get_object, Bucket=bucket, Key=key, IfMatch=etag))
        body = answer["Body"]
        try:
            while piece := await asyncio.to_thread(body.read, CHUNK):
                yield piece
        except self._errors.FlexibleChecksumError as e:
            raise Invalid("file_mismatch", f"{where}: {_text(e)}", advice="It was damaged there.") from None
        except (self._errors.BotoCoreError, OSError) as e:
            raise SourceBroken(BROKE_OFF, f"{where} broke off: {type(e).__name__}") from e
        finally:
            body.close()

    def _refused(self, what: str, error: Any) -> tuple[RegistaError | None, str | None]:
        """Return the error of a call that repeating does not mend, or None and the Retry-After."""
        problem = error.response.get("Error") or {}
        meta = error.response.get("ResponseMetadata") or {}
        status = int(meta.get("HTTPStatusCode") or 0)
        kind = kind_of(str(problem.get("Code") or ""), status, str(problem.get("Message") or ""))
        detail = f"{what}: AWS answers {_text(error)}"
        match kind:
            case Kind.BUSY:
                return None, (meta.get("HTTPHeaders") or {}).get("retry-after")
            case Kind.CREDENTIALS:
                detail += ". The credentials are missing, wrong or expired"
                return Unauthorized("source_unauthorized", detail, advice=CREDENTIALS), None
            case Kind.DENIED:
                return Forbidden("source_forbidden", detail, advice="Request the right to read there."), None
            case Kind.MISSING:
                return NotFound("source_not_found", detail, advice="Check --region and the name."), None
            case Kind.CHANGED:
                advice = "Run the command again."
                return Invalid(
                    "file_changed", f"{what} changed there after it was listed", advice=advice
                ), None
            case _:
                return Invalid("source_answer", detail, advice="Check --region and --endpoint-url."), None

    def _is_unreachable(self, error: Any) -> bool:
        return isinstance(error, self._errors.HTTPClientError | self._errors.ConnectionError)

    def _misconfigured(self, what: str, error: Any) -> RegistaError:
        detail = f"{what}: {_text(error)}"
        lacking = (
            self._errors.NoCredentialsError,
            self._errors.PartialCredentialsError,
            self._errors.CredentialRetrievalError,
            self._errors.TokenRetrievalError,
            self._errors.UnauthorizedSSOTokenError,
            self._errors.SSOError,
        )
        if isinstance(error, lacking):
            return Unauthorized("source_unauthorized", detail, advice=CREDENTIALS)
        return Invalid("source_answer", detail, advice="Check --region, --endpoint-url and AWS_PROFILE.")


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:SHOWN]
