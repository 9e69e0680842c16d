"""Read from the HTTP API of another registry: with patience, and with errors that state what to do."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from regista.errors import Forbidden, Invalid, NotFound, RegistaError, Unauthorized

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
CONNECT_SECONDS, READ_SECONDS = 10.0, 120.0
MOST_OF_AN_ANSWER = 64 << 20
"""Bytes of a JSON answer."""
ATTEMPTS_AT_FIRST = 3
"""Attempts to reach a server that never answered: the address may be wrong."""
BROKE_OFF = "source_broke_off"
"""The code of an answer that ended too early."""
SHOWN = 300
"""Characters of a foreign error that are shown."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How often a request is repeated: the pauses double from `first` to `longest` seconds, with jitter.

    A Retry-After of the server replaces the pause, up to `most` seconds.
    """

    attempts: int = 8
    first: float = 0.5
    longest: float = 30.0
    most: float = 600.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def pause(self, attempt: int, retry_after: str | None) -> float:
        """Return the seconds before the attempt after number `attempt` (from 0)."""
        stated = _seconds(retry_after)
        if stated is not None:
            return min(self.most, stated)
        longest: float = min(self.longest, self.first * 2**attempt)
        return random.uniform(0.5, 1) * longest  # noqa: S311 - jitter, no secret


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that a Retry-After states, as a number or as a date."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - time.time())


class SourceBroken(RegistaError):  # noqa: N818 - named like the other errors of the client
    """The other registry did not answer in all attempts. What was imported stays."""

    advice = "Run the command again when it answers: it continues where it stopped."


class Requests:
    """Requests that change nothing, to one base URL. No other host ever gets the credentials.

    `token_advice` states what to do about refused credentials, `address_advice` about a foreign answer.
    """

    def __init__(
        self,
        base: str,
        system: str,
        client: httpx.AsyncClient,
        token_advice: str,
        waits: Waits | None = None,
        address_advice: str = "Check --from.",
    ) -> None:
        self.base = base.rstrip("/")
        self._system = system
        self._client = client
        self._token_advice = token_advice
        self._address_advice = address_advice
        self.waits = waits or Waits()
        self._answered = False

    async def get(
        self, path: str, query: Mapping[str, Any] | None = None, method: str = "GET"
    ) -> dict[str, Any]:
        """Return the object of a JSON answer. `method` is POST where a list is read so.

        Raises NotFound, Forbidden, Unauthorized, Invalid and SourceBroken.
        """
        async with self.open(path, query, method) as answer:
            raw = bytearray()
            async for piece in answer.aiter_bytes():
                raw += piece
                if len(raw) > MOST_OF_AN_ANSWER:
                    detail = f"{self._at(path)} answers more than {MOST_OF_AN_ANSWER:,} bytes"
                    raise Invalid("source_answer", detail, advice="Check the address of the source.")
        try:
            return msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            detail = f"{self._at(path)} does not answer JSON: is this the address of {self._system}?"
            raise Invalid("source_answer", detail, advice=self._address_advice) from None

    @asynccontextmanager
    async def open(
        self, path: str, query: Mapping[str, Any] | None = None, method: str = "GET"
    ) -> AsyncIterator[httpx.Response]:
        """Return an answer whose body the caller reads. A body that breaks off raises SourceBroken."""
        answer = await self._sent(path, query, method)
        try:
            yield answer
        except httpx.TransportError as e:
            raise SourceBroken(BROKE_OFF, f"{self._at(path)} broke off: {type(e).__name__}") from e
        finally:
            await answer.aclose()

    async def _sent(self, path: str, query: Mapping[str, Any] | None, method: str) -> httpx.Response:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        attempt, most = 0, self.waits.attempts
        while True:
            request = self._client.build_request(method, self.base + path, params=params)
            retry_after = None
            try:
                answer = await self._client.send(request, stream=True, follow_redirects=False)
            except (httpx.TransportError, httpx.InvalidURL) as e:
                why = type(e).__name__
                most = self.waits.attempts if self._answered else min(most, ATTEMPTS_AT_FIRST)
            else:
                self._answered = True
                if answer.is_success:
                    return answer
                text = await _beginning(answer)
                await answer.aclose()
                why, retry_after = f"{answer.status_code} {text}".strip(), answer.headers.get("retry-after")
                if answer.status_code not in BUSY:
                    raise self._refused(path, answer.status_code, text)
            attempt += 1
            if attempt >= most:
                raise self._broken(path, why, attempt)
            await self.waits.sleep(self.waits.pause(attempt - 1, retry_after))

    def _refused(self, path: str, status: int, text: str) -> RegistaError:
        answer = f"{self._at(path)} answers {status}" + (f": {text}" if text else "")
        if status == 401:
            detail = f"{answer}. The credentials are missing, wrong or expired"
            return Unauthorized("source_unauthorized", detail, advice=self._token_advice)
        if status == 403:
            return Forbidden("source_forbidden", answer, advice="Request the right to read there.")
        if status in {404, 410}:
            return NotFound("source_not_found", answer, advice="Check the address of the source.")
        return Invalid("source_answer", answer, advice=self._address_advice)

    def _broken(self, path: str, why: str, attempts: int) -> SourceBroken:
        detail = f"{self._at(path)} does not answer in {attempts} attempts: {why}"
        return SourceBroken("source_unavailable", detail)

    def _at(self, path: str) -> str:
        return f"{self._system} at {self.base}{path}"


async def _beginning(answer: httpx.Response) -> str:
    """Return the message of an error, shortened: `message` of a JSON answer, or its first characters.

    Azure has it in `error`.
    """
    raw = bytearray()
    try:
        async for piece in answer.aiter_bytes():
            raw += piece
            if len(raw) > 64 << 10:
                break
    except httpx.TransportError:
        pass
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = None
    inner = found.get("error") if isinstance(found, dict) else None
    stated = inner if isinstance(inner, dict) else found
    text = stated.get("message") if isinstance(stated, dict) else raw.decode("utf-8", "replace")
    return " ".join(str(text or "").split())[:SHOWN]
