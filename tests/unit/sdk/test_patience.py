"""How long the client waits for services that are slow, unreachable, or silent."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from regista.client.async_client import AsyncClient
from regista.client.patience import Failures, Patience, reported
from regista.client.profile import Profile
from regista.client.transport import Transport
from regista.errors import TimedOut, Unavailable, from_problem
from regista.loading.usage import Usage, Used
from regista.publishing.publication import TrainedMessage, outcome

from .conftest import QUICK, Answers, problem

USED = Used("churn", "m1", 3, "production")


@pytest.fixture
def silent(profile: Profile) -> Iterator[Profile]:
    """The profile of a registry that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield replace(profile, url=f"http://127.0.0.1:{listener.getsockname()[1]}")


async def test_a_server_that_never_answers_is_given_up_within_the_patience(silent: Profile) -> None:
    began = time.monotonic()
    async with AsyncClient(silent, patience=Patience(total=0.2)) as client:
        with pytest.raises(Unavailable, match=r"the registry at http://\S+ did not answer within 0.2 s"):
            await client.models()
    assert time.monotonic() - began < 5


async def test_a_silent_service_is_named_while_it_is_waited_for(
    silent: Profile, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncClient(silent, patience=Patience(total=0.3, silent=0.01)) as client:
        with pytest.raises(Unavailable):
            await client.models()
    [message] = [one.getMessage() for one in caplog.records if one.name == "regista"]
    assert re.fullmatch(
        r"waiting for the registry at http://\S+, up to 0 s more; its last answer: none", message
    )


@pytest.mark.parametrize("slow", [False, True])
async def test_what_a_service_answered_last_is_reported_and_a_slow_one_only_after_a_failure(
    slow: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, busy = Failures(Patience()), from_problem(503, {"code": "busy"})
    failures.last = None if slow else busy
    logged = asyncio.Event()
    monkeypatch.setattr(caplog.handler, "filters", [lambda _: logged.set() or True])
    with reported("the registry", 9.0, failures, 0.0, slow=slow):
        for _ in range(10 * slow):
            await asyncio.sleep(0)  # the loop looks at its timers
        failures.last = busy
        await logged.wait()
    [message] = caplog.messages
    assert re.fullmatch(r"waiting for the registry, up to \d s more; its last answer: busy", message)


async def test_waiting_ends_at_its_deadline_though_the_registry_never_answers(
    silent: Profile,
) -> None:
    transport, began = Transport(silent), time.monotonic()
    with pytest.raises(TimedOut):
        await outcome(transport, TrainedMessage("m1", "churn", ""), 0.2)
    assert time.monotonic() - began < 5
    await transport.close()


async def test_a_registry_that_is_unreachable_for_a_while_counts_as_no_outcome_yet(
    profile: Profile, answers: Answers
) -> None:
    answers.next = [problem(503, "unavailable") for _ in range(QUICK.attempts)]
    answers.publications = {"m1": {"state": "registered", "model": "churn", "number": 1}}
    transport = Transport(profile, QUICK)
    assert (await outcome(transport, TrainedMessage("m1", "churn", ""), 20)).number == 1
    await transport.close()


async def test_closing_does_not_wait_for_a_service_that_never_answers(
    silent: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regista.loading.usage.CLOSE_SECONDS", 0.1)
    client, began = AsyncClient(silent), time.monotonic()
    client._usage.record(USED)
    await client.close()
    assert time.monotonic() - began < 5


async def test_an_unforeseen_failure_stops_neither_the_reports_nor_the_closing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[dict[str, Any]] = []
    arrived = asyncio.Event()

    async def send(data: dict[str, Any], message_id: str) -> None:
        if data["model"] == "odd":
            raise ValueError(message_id)
        sent.append(data)
        arrived.set()

    usage = Usage(send, 0.01, lambda: "id")
    usage.start()
    usage.record(USED._replace(model="odd"))
    usage.record(USED._replace(model="worn"))
    with caplog.at_level(logging.ERROR, "regista"):
        await asyncio.wait_for(arrived.wait(), 10)
    assert [data["model"] for data in sent] == ["worn"]
    assert "usage of odd is not reported" in caplog.text
    usage.record(USED)
    await usage.close()
    assert [data["model"] for data in sent] == ["worn", "churn"]


async def test_an_empty_batch_is_no_use_and_a_count_of_numpy_is_a_count() -> None:
    sent: list[dict[str, Any]] = []

    async def send(data: dict[str, Any], _message_id: str) -> None:
        sent.append(json.loads(msgspec.json.encode(data)))

    usage = Usage(send, 3600, lambda: "id")
    usage.record(USED._replace(model="idle"), 0)
    usage.record(USED, np.ones(3, dtype=bool).sum())
    await usage.flush()
    assert [(data["model"], data["count"]) for data in sent] == [("churn", 3)]
    with pytest.raises(ValueError, match="-1"):
        usage.record(USED, -1)
