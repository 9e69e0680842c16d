"""How a batch of messages becomes commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from regista.wire.cloudevents import CloudEvent
from shared.deciding.submission import Submission
from shared.messaging.consumer import ENOUGH, TASKS, Consumer
from shared.messaging.kafka import Handler, Received, Subscription, by_service
from tests.integration.kernel.conftest import Bank

MESSAGES, OF_ONE = 40, 300


@dataclass
class Many:
    """Each message makes many commands. `waiting` is how many were made and not run yet, at each message."""

    bank: Bank
    made: int = 0
    waiting: list[int] = field(default_factory=list)

    async def prepare(self, message: Received) -> Sequence[Submission]:
        self.waiting.append(self.made - self.bank.transactor.states.get("account-a").revision)
        self.made += OF_ONE
        return [self.bank.deposit("a", cause=f"{message.event.id}/{n}") for n in range(OF_ONE)]


async def test_the_commands_of_a_large_batch_wait_in_memory_only_in_part(
    bank: Bank,
) -> None:
    many, nothing = Many(bank), Any
    consumer = Consumer(
        Subscription("topic", "group", {"seen": Handler(many.prepare)}, by_service("cleanup")),
        bank.transactor,
        nothing,
        nothing,
        nothing,
    )
    events = [
        CloudEvent(str(n), "/regista/cleanup", "seen", "s", "2026-11-28T00:00:00Z", b"{}")
        for n in range(MESSAGES)
    ]
    messages = [
        Received(event, "service:cleanup", "service", "topic", 0, n) for n, event in enumerate(events)
    ]
    assert await consumer._submit_messages(messages, {}, follow_up=False) == messages
    assert bank.transactor.states.get("account-a").revision == many.made == MESSAGES * OF_ONE
    assert max(many.waiting) <= ENOUGH + TASKS * OF_ONE
