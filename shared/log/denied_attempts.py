"""Record denied attempts in the log of this service, counted for each subject, rule and hour.

The first attempt of an hour is recorded within a second, the number of the others when the hour is over or
the process ends. So no caller can flood the log, and a crash loses counts, never the fact that it was tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import Counter

from shared.deciding.decider import RuleBroken
from shared.deciding.denied_attempts import (
    MOST_DETAIL,
    UNKNOWN,
    RecordDenied,
    hour_of,
    shown,
    stream_of,
    without,
)
from shared.deciding.events import Actor, AttemptsDenied
from shared.deciding.submission import Cause, Outcome, Submission
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.postgres_errors import raise_if_cancelled

DENIED = Counter("regista_denied_attempts", "Attempts that a rule denied", ["service", "code"])
CHECK_EVERY = 30.0
MOST_KINDS = 100
"""Kinds of attempts (rule, action, model) of one subject in an hour; further ones are counted together."""
OTHERS = "further_attempts"
NOT_IDENTIFIED = Actor(UNKNOWN, method="none")

Key = tuple[str, datetime, str, str, str]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Counted:
    """Attempts of one kind in one hour; `count` are those that are not recorded yet."""

    number: int
    actor: Actor
    first_at: datetime
    last_at: datetime
    detail: str
    target: dict[str, str]
    count: int = 0
    opened: bool = False


class DeniedAttempts:
    """The denied attempts of this process that are not recorded yet."""

    def __init__(
        self,
        submit: Callable[[Submission], Awaitable[Outcome]],
        service: str,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._submit = submit
        self._service = service
        self._now = now
        self._run = uuid.uuid4().hex
        self._number = 0
        self._open: dict[Key, _Counted] = {}
        self._kinds: dict[tuple[str, datetime], int] = {}
        self._woken = asyncio.Event()

    def counts(self, actor: Actor, code: str, action: str, model_id: str) -> bool:
        """Return whether this kind of attempt is counted in this hour already, with its target and detail."""
        return self._key(actor, code, action, model_id) in self._open

    def _key(self, actor: Actor, code: str, action: str, model_id: str) -> Key:
        return (actor.subject, hour_of(self._now()), code, action, model_id)

    def note(
        self,
        actor: Actor,
        code: str,
        action: str,
        detail: str,
        target: Mapping[str, str] | None = None,
        model_id: str = "",
        *,
        known: Container[str] = (),
        typed: Iterable[str] = (),
    ) -> None:
        """Count one attempt. `action` is a route or the type of a message; `target` its path parameters.

        `known` are the names among them that exist. Of others, and of `typed`, neither the target nor the
        detail keeps the text: see `shown`.
        """
        DENIED.labels(self._service, code).inc()
        now = self._now()
        key = self._key(actor, code, action, model_id)
        if key not in self._open:
            kinds = self._kinds.get(key[:2], 0)
            if kinds >= MOST_KINDS:
                key, detail, target = (*key[:2], OTHERS, "", ""), "Further kinds of attempts", {}
            self._kinds[key[:2]] = kinds + 1
        counted = self._open.get(key)
        if counted is None:
            self._number += 1
            kept = {name: shown(value, known) for name, value in (target or {}).items()}
            detail = without(detail, [*(target or {}).values(), *typed], known)[:MOST_DETAIL]
            counted = self._open[key] = _Counted(self._number, actor, now, now, detail, kept)
            self._woken.set()
        counted.count += 1
        counted.last_at = now

    async def run(self) -> None:
        """Record for the life of the process, and a last time when it ends."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_EVERY):
                        await self._woken.wait()
                self._woken.clear()
                try:
                    await self.record()
                except (Unavailable, *CONNECTION_ERRORS) as error:
                    raise_if_cancelled()
                    POSTGRES.report(error)
                    await asyncio.sleep(1.0)
                    self._woken.set()
        finally:
            with contextlib.suppress(Exception):  # the process ends; what cannot be recorded now is lost
                async with asyncio.timeout(1.0):
                    await self.record(ending=True)

    async def record(self, *, ending: bool = False) -> None:
        """Record new kinds of attempts, and the numbers of the hours that are over. Raises Unavailable."""
        this_hour = hour_of(self._now())
        for key, counted in list(self._open.items()):
            if not counted.opened:
                outcome = await self._written(key, counted, 1, opening=True)
                counted.opened = True
                counted.count -= len(outcome.events)
            if ending or key[1] < this_hour:
                if counted.count > 0:
                    await self._written(key, counted, counted.count, opening=False)
                self._open.pop(key, None)
                self._kinds.pop(key[:2], None)

    async def _written(self, key: Key, counted: _Counted, count: int, *, opening: bool) -> Outcome:
        subject, hour, code, action, model_id = key
        attempts = AttemptsDenied(
            subject,
            code,
            action,
            hour,
            count,
            counted.first_at,
            counted.last_at,
            counted.detail,
            counted.target,
            model_id,
        )
        id_ = f"{self._run}/{counted.number}/{'opening' if opening else 'rest'}"
        try:
            return await self._submit(
                Submission(
                    RecordDenied(attempts, opening),
                    (stream_of(self._service, subject),),
                    Cause(f"{self._service}/denied", id_, b""),
                    counted.actor,
                )
            )
        except RuleBroken:  # the same cause with another number: it was recorded before an outage
            return Outcome((), replayed=True)
