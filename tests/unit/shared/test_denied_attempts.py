"""Attempts are counted in memory and recorded with few events, whatever a caller does."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.deciding.denied_attempts import DENIED_ATTEMPTS, DeniedState
from shared.deciding.events import Actor, AttemptsDenied
from shared.deciding.submission import Outcome, Submission
from shared.foundation.postgres import Unavailable
from shared.log.denied_attempts import MOST_KINDS, OTHERS, DeniedAttempts

EVE = Actor("eve", method="api-key:k1")
NOW = datetime(2026, 11, 29, 17, 30, tzinfo=UTC)


@dataclass
class Log:
    """Runs the decider of denied attempts, as a transactor does; `down`: it fails."""

    events: list[AttemptsDenied] = field(default_factory=list)
    states: dict[str, DeniedState] = field(default_factory=dict)
    down: bool = False

    async def submit(self, submission: Submission) -> Outcome:
        if self.down:
            raise Unavailable("the database is unavailable")
        (stream,) = submission.streams
        state = self.states.get(stream, DENIED_ATTEMPTS.initial)
        events = DENIED_ATTEMPTS.decide(submission.command, state)
        for event in events:
            state = DENIED_ATTEMPTS.evolve(state, event)
            self.events.append(event)
        self.states[stream] = state
        recorded: Any = tuple(events)
        return Outcome(recorded)


@dataclass
class Clock:
    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at


def of(log: Log, clock: Clock) -> DeniedAttempts:
    return DeniedAttempts(log.submit, "approval", clock)


def try_it(denied_attempts: DeniedAttempts, times: int = 1, **about: Any) -> None:
    for _ in range(times):
        denied_attempts.note(EVE, **({"code": "role_missing", "action": "POST /x", "detail": "no"} | about))


async def test_a_thousand_attempts_of_an_hour_are_two_events_with_their_number() -> None:
    log, clock = Log(), Clock()
    denied_attempts = of(log, clock)
    try_it(denied_attempts, 1000)
    await denied_attempts.record()
    assert [event.count for event in log.events] == [1]
    clock.at += timedelta(hours=1)
    await denied_attempts.record()
    await denied_attempts.record()
    assert [event.count for event in log.events] == [1, 999]
    assert {event.hour for event in log.events} == {NOW.replace(minute=0)}


async def test_replicas_record_one_first_attempt_and_all_numbers() -> None:
    log, clock = Log(), Clock()
    replicas = [of(log, clock) for _ in range(3)]
    for replica in replicas:
        try_it(replica, 5)
        await replica.record()
    for replica in replicas:
        await replica.record(ending=True)
    assert sum(event.count for event in log.events) == 15
    assert len(log.events) == 4


async def test_a_subject_cannot_write_more_kinds_than_a_fixed_number() -> None:
    log, clock = Log(), Clock()
    denied_attempts = of(log, clock)
    for n in range(10 * MOST_KINDS):
        try_it(denied_attempts, model_id=f"m{n}")
    await denied_attempts.record(ending=True)
    assert len(log.events) <= MOST_KINDS + 2
    assert sum(event.count for event in log.events) == 10 * MOST_KINDS
    assert log.events[-1].code == OTHERS


async def test_long_texts_of_a_caller_are_cut() -> None:
    log, clock = Log(), Clock()
    denied_attempts = of(log, clock)
    try_it(denied_attempts, detail="x" * 10_000, target={"review_id": "y" * 10_000}, known={"y" * 10_000})
    await denied_attempts.record()
    assert len(log.events[0].detail) == 300
    assert len(log.events[0].target["review_id"]) == 100


async def test_while_the_database_is_unavailable_attempts_are_kept() -> None:
    log, clock = Log(down=True), Clock()
    denied_attempts = of(log, clock)
    try_it(denied_attempts, 3)
    with pytest.raises(Unavailable):
        await denied_attempts.record()
    log.down = False
    await denied_attempts.record(ending=True)
    assert sum(event.count for event in log.events) == 3


async def test_what_is_not_recorded_yet_is_recorded_when_the_process_ends() -> None:
    log, clock = Log(), Clock()
    denied_attempts = of(log, clock)
    running = asyncio.create_task(denied_attempts.run())
    await asyncio.sleep(0)
    try_it(denied_attempts, 7)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sum(event.count for event in log.events) == 7


SECRET = "team.q3-layoffs"
UUID_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


async def recorded(**about: Any) -> AttemptsDenied:
    log = Log()
    denials = of(log, Clock())
    try_it(denials, **about)
    await denials.record()
    return log.events[0]


async def test_a_typed_name_that_is_not_known_is_kept_as_a_digest_only() -> None:
    event = await recorded(target={"model": SECRET, "version": "1"}, detail=f"eve needs a role in {SECRET!r}")
    shown = f"sha256:{hashlib.sha256(SECRET.encode()).hexdigest()[:16]}"
    assert event.target == {"model": shown, "version": "1"}
    assert event.detail == f"eve needs a role in '{shown}'"


async def test_its_namespace_is_not_kept_either() -> None:
    event = await recorded(target={"model": SECRET}, detail="eve needs a role in the namespace 'team'.")
    assert "team" not in event.detail


async def test_what_is_known_is_kept_as_it_is() -> None:
    detail = f"no role in the namespace 'team' of {SECRET!r}"
    event = await recorded(target={"model": SECRET}, detail=detail, known={SECRET})
    assert (event.target, event.detail) == ({"model": SECRET}, detail)


@pytest.mark.parametrize("value", ["7", "1.20.3", UUID_ID, "sha256:" + "a" * 64])
async def test_numbers_ids_and_digests_are_kept_as_they_are(value: str) -> None:
    assert (await recorded(target={"id": value})).target == {"id": value}


async def test_a_typed_text_is_replaced_as_a_whole_word_only() -> None:
    event = await recorded(target={"alias": "a"}, detail="a role that eve has not: a, not bar-a or a-b")
    shown = f"sha256:{hashlib.sha256(b'a').hexdigest()[:16]}"
    assert event.detail == f"{shown} role that eve has not: {shown}, not bar-a or a-b"
