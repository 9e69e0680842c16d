"""Dead letters: messages that a service refused. Answers are the service's JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import quote

from regista.calls.requests import Requests
from regista.client.patience import OPERATORS, patience
from regista.errors import Invalid, RegistaError, Unavailable
from regista.shapes.every_service import DeadLetter, DeadLetterDetail, DeadLetterGroup, Dismissed, Replayed

T = TypeVar("T")
CONSUMERS = ("registry", "approval", "artifact", "cleanup")
"""The services that consume messages; each has dead letters."""
INBOUND = {"regista.training.v1": "registry", "regista.usage.v1": "cleanup"}
"""The topics of publishers, and the service that consumes each."""


class OfServices(NamedTuple, Generic[T]):
    """What several services answered, and the error of each that did not."""

    items: list[T]
    unanswered: dict[str, RegistaError]


class DeadLetterCalls(Requests):
    """List, replay and dismiss dead letters."""

    async def dead_letters(
        self,
        service: str,
        limit: int = 50,
        topic: str | None = None,
        *,
        replayed: bool | None = None,
        dismissed: bool | None = None,
    ) -> list[DeadLetter]:
        """Return the dead letters of a service, newest first, at most `limit`.

        Replayed and dismissed ones are left out unless they are requested.
        """
        return await self._items(
            DeadLetter, service, "/dlq", limit=limit, topic=topic, replayed=replayed, dismissed=dismissed
        )

    async def all_dead_letters(
        self,
        limit: int = 50,
        topic: str | None = None,
        *,
        replayed: bool | None = None,
        dismissed: bool | None = None,
    ) -> OfServices[DeadLetter]:
        """Return the dead letters of all services, asked at the same time, each once."""

        async def of(service: str) -> list[DeadLetter]:
            return await self.dead_letters(service, limit, topic, replayed=replayed, dismissed=dismissed)

        return await _of_services(of)

    async def dead_letter_groups(self, service: str, topic: str | None = None) -> list[DeadLetterGroup]:
        """Return the open dead letters of a service by topic, consumer group, code and signer."""
        return await self._items(DeadLetterGroup, service, "/dlq/groups", topic=topic)

    async def all_dead_letter_groups(self, topic: str | None = None) -> OfServices[DeadLetterGroup]:
        """Return the groups of all services, asked at the same time, each once."""
        return await _of_services(lambda service: self.dead_letter_groups(service, topic))

    async def dismiss(self, letter_id: str, reason: str) -> Dismissed:
        """Close a dead letter without a replay. It is open again when its message is refused again."""
        path = f"/dlq/{quote(letter_id)}:dismiss"
        return await self._send(Dismissed, "POST", owner_of(letter_id), path, {"reason": reason})

    async def dead_letter(self, letter_id: str) -> DeadLetterDetail:
        """Return one dead letter with its reason, headers and value."""
        return await self._get(DeadLetterDetail, owner_of(letter_id), f"/dlq/{quote(letter_id)}")

    async def replay(self, letter_id: str, reason: str = "") -> Replayed:
        """Send a dead letter again to the topic it came from."""
        path = f"/dlq/{quote(letter_id)}:replay"
        return await self._send(Replayed, "POST", owner_of(letter_id), path, query={"reason": reason or None})


async def _of_services(ask: Callable[[str], Awaitable[list[T]]]) -> OfServices[T]:
    """Ask all services that have dead letters, each once. Raises the error of one when none answers."""
    with patience(OPERATORS):
        answers = await asyncio.gather(*map(ask, CONSUMERS), return_exceptions=True)
    items, unanswered = list[T](), dict[str, RegistaError]()
    for service, answer in zip(CONSUMERS, answers, strict=True):
        if isinstance(answer, Unavailable):
            unanswered[service] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            items += answer
    if len(unanswered) == len(CONSUMERS):
        raise unanswered[CONSUMERS[0]]
    return OfServices(items, unanswered)


def owner_of(letter_id: str) -> str:
    """Return the service that owns the topic of a dead letter, and alone replays it. Raises Invalid."""
    topic = letter_id.partition("~")[0].removesuffix(".dlq")
    if topic in INBOUND:
        return INBOUND[topic]
    name = topic.removeprefix("regista.").removesuffix(".events.v1")
    if name not in CONSUMERS:
        raise Invalid(
            "no_dead_letter",
            f"{letter_id!r} is not the id of a dead letter",
            advice="`regista dlq list` shows the ids.",
        )
    return name
