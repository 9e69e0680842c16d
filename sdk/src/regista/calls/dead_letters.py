"""Dead letters: messages that a service refused. Answers are the service's JSON."""

from __future__ import annotations

from urllib.parse import quote

from regista.calls.requests import Json, Requests
from regista.errors import Invalid

CONSUMERS = ("registry", "approval", "artifact", "cleanup")
"""The services that consume messages; each has dead letters."""
INBOUND = {"regista.training.v1": "registry", "regista.usage.v1": "cleanup"}
"""The topics of publishers, and the service that consumes each."""


class DeadLetterCalls(Requests):
    """List and replay dead letters."""

    async def dead_letters(
        self, service: str, limit: int = 50, topic: str | None = None, *, replayed: bool | None = None
    ) -> list[Json]:
        """Return the dead letters of a service, newest first, at most `limit`."""
        answer = await self._get(service, "/dlq", limit=limit, topic=topic, replayed=replayed)
        return list(answer["items"])

    async def dead_letter(self, letter_id: str) -> Json:
        """Return one dead letter with its reason, headers and value."""
        return dict(await self._get(owner_of(letter_id), f"/dlq/{quote(letter_id)}"))

    async def replay(self, letter_id: str) -> Json:
        """Send a dead letter again to the topic it came from."""
        return await self._send("POST", owner_of(letter_id), f"/dlq/{quote(letter_id)}:replay")


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
