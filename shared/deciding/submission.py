"""Describe what HTTP and Kafka submit: a command with its cause, its actor and the streams it needs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from shared.deciding.decider import Unprocessable
from shared.deciding.events import Actor, Recorded


@dataclass(frozen=True, slots=True)
class Cause:
    """The request or message that led to a command. It identifies the command permanently.

    `source` is verified: `http/<subject>`, the source of a CloudEvent, or `<service>/due/<kind>`. `id` is
    unique in the source. `digest` is SHA-256 of the request.
    """

    source: str
    id: str
    digest: bytes
    correlation_id: str = ""
    causation_id: str = ""
    occurred_at: datetime | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Permission:
    """A role that the actor needs in a namespace. "" is the namespace of names without one."""

    role: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """A command with what it needs.

    `streams` are written, the first is the main one; `depends_on` are only read. All are locked. With a
    `permission`, the actor's own access stream is locked and read, too, so that a revoked key or role never
    acts after its revocation. `also` are further permissions, in the namespaces of other streams that it
    writes. `under_locks` completes the command from read models, on the connection of the transaction and
    under its locks: for what no stream has, such as that no model uses an environment. Other commands that
    would change the answer have to read a stream that this one writes. Such a command is alone in its batch.
    """

    command: Any
    streams: tuple[str, ...]
    cause: Cause
    actor: Actor
    depends_on: tuple[str, ...] = ()
    permission: Permission | None = None
    reason: str = ""
    also: tuple[Permission, ...] = ()
    under_locks: Callable[[Any, Any], Awaitable[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The events that a command wrote.

    A repeated cause gets the events of the first time, with `replayed` set.
    """

    events: tuple[Recorded, ...]
    replayed: bool = False


class IdempotencyMismatch(Unprocessable):
    """The same Idempotency-Key, or message id, came with another request."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(
            "idempotency_mismatch",
            f"{cause.id!r} was already used for another request."
            " Give a new request an id of its own (HTTP: Idempotency-Key; Kafka: message id).",
        )


def new_id(cause: Cause, name: str = "") -> UUID:
    """Return the id of a new stream. The same cause gives the same id at every repetition."""
    return uuid5(NAMESPACE_URL, f"{cause.source}\n{cause.id}\n{name}")


def request_digest(*parts: bytes | str) -> bytes:
    """Return SHA-256 over the length-prefixed parts."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()
