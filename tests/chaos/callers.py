"""Callers of the load: HTTP with one Idempotency-Key until it is answered, Kafka until it acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.messaging.kafka import stop_client
from tests.chaos.journal import Journal

REPEAT = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
PAUSE = 0.3
ANSWER = 40.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, and the key with which it was sent."""

    status: int
    body: Any
    etag: str
    key: str

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


@dataclass(slots=True)
class Caller:
    """One identity at all replicas. A request that has no answer is repeated at another replica."""

    urls: Mapping[str, Sequence[str]]
    api_key: str
    journal: Journal
    http: httpx.AsyncClient = field(init=False)
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.http = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER, connect=3), headers={"authorization": f"Bearer {self.api_key}"}
        )

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        etag: str = "",
        content: bytes | None = None,
    ) -> Answer:
        """Return the first answer that settles the request. It has one Idempotency-Key whatever happens."""
        key = str(uuid.uuid4())
        headers = {"idempotency-key": key} | ({"if-match": etag} if etag else {})
        if content is not None:
            headers["content-type"] = "application/octet-stream"
        while True:
            urls = self.urls[service]
            url = urls[next(self._turn) % len(urls)]
            with contextlib.suppress(httpx.HTTPError):
                got = await self.http.request(
                    method, f"{url}/v1{path}", json=body, content=content, headers=headers
                )
                if got.status_code not in REPEAT:
                    return Answer(got.status_code, _json(got), got.headers.get("etag", ""), key)
                if got.status_code == 500:
                    self.journal.write("internal error", path=path, detail=got.text[:300])
            await asyncio.sleep(PAUSE)

    async def command(
        self,
        kind: str,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        etag: str = "",
        **facts: Any,
    ) -> Answer:
        """Send a command and journal its answer."""
        answer = await self.call(service, method, path, body, etag=etag)
        what = "answered" if answer.good else "refused"
        shown = answer.body if answer.good else {k: (answer.body or {}).get(k) for k in ("code", "detail")}
        self.journal.write(
            what, kind=kind, key=answer.key, path=path, sent=body, answer=shown, etag=answer.etag, **facts
        )
        return answer

    async def get(self, service: str, path: str) -> Answer:
        return await self.call(service, "GET", path)

    async def close(self) -> None:
        await self.http.aclose()


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


@dataclass(slots=True)
class KafkaCaller:
    """A publisher's producer. It is replaced after every error, and the same message is sent again."""

    options: Mapping[str, Any]
    producer: AIOKafkaProducer | None = None

    async def send(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Any:
        """Return Kafka's acknowledgement of this message."""
        while True:
            try:
                async with asyncio.timeout(20):
                    if self.producer is None:
                        made = AIOKafkaProducer(
                            **self.options, acks="all", enable_idempotence=True, request_timeout_ms=10_000
                        )
                        self.producer = made
                        await made.start()
                    return await self.producer.send_and_wait(topic, value, key=key, headers=headers)
            except (KafkaError, TimeoutError, OSError):
                await self.close()
                await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        if (gone := self.producer) is not None:
            self.producer = None
            await stop_client(gone)
