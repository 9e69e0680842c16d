"""A publisher learns over HTTP why its message was not accepted; no other caller does."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from regista.wire import limits
from regista.wire.keys import generate_signing_key
from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers


async def _answer(registry: Any, message_id: str, **query: Any) -> dict[str, Any]:
    async with registry.client("ci") as client:

        async def answered() -> Any:
            answer = await client.get(f"/publications/{message_id}", params=query)
            return answer.json() if answer.status_code == 200 else None

        return await registry.until(answered)


async def _problem(registry: Any, message_id: str) -> tuple[str, str, str]:
    found = await _answer(registry, message_id)
    return found["state"], found["code"], found["problems"][0]["problem"]


def _with_parent(model: str) -> dict[str, Any]:
    return trained() | {"parents": [{"model": model, "number": 1, "relation": "base_model"}]}


async def test_each_reason_for_a_dead_letter_is_answered_to_its_signer_only(registry, senders):
    sent = {
        "malformed": await senders.send_trained(trained() | {"surprise": 1}),
        "role_missing": await senders.send_trained(trained("elsewhere.model")),
        "not_authentic": await senders.send_trained(trained(), key=generate_signing_key("ci")),
        "too large": await senders.send_trained(
            trained() | {"training": {"config": {"text": "x" * limits.DATA_BYTES}}}
        ),
    }
    reasons = {name: await _problem(registry, message_id) for name, message_id in sent.items()}
    assert reasons["malformed"][:2] == ("dead_lettered", "malformed")
    assert "surprise" in reasons["malformed"][2]
    assert reasons["role_missing"][:2] == ("dead_lettered", "role_missing")
    assert reasons["not_authentic"][:2] == ("dead_lettered", "not_authentic")
    assert reasons["too large"][1] == "too_large"
    assert "at most 1,048,576" in reasons["too large"][2]
    async with registry.client("stranger") as client:
        for message_id in (*sent.values(), str(uuid.uuid4())):
            answer = await client.get(f"/publications/{message_id}", params={"publisher": "ci"})
            if message_id != sent["role_missing"]:  # the stranger may read elsewhere.model
                assert (answer.status_code, answer.json()["code"]) == (404, "not_seen")


async def test_a_message_that_is_accepted_after_a_replay_is_answered_as_registered(registry, senders):
    message_id = await senders.send_trained(trained("fresh.model"))
    dead_letter = (await _answer(registry, message_id))["dead_letter"]
    async with registry.client("root") as client:
        granted = await client.put(
            "/access/identities/ci/roles", json={"role": "publisher", "namespace": "fresh"}
        )
        assert granted.is_success, granted.text
        assert (await client.post(f"/dlq/{dead_letter}:replay")).status_code == 202

    async def registered() -> bool:
        return (await _answer(registry, message_id))["state"] == "registered"

    assert await registry.until(registered)


async def test_a_foreign_parent_on_kafka_is_answered_like_one_that_does_not_exist(registry, senders):
    async with registry.client("stranger") as client:
        made = await client.post("/models/elsewhere.secret/versions", json=trained("elsewhere.secret"))
        assert made.status_code == 201
        model_id = (await client.get("/models/elsewhere.secret")).json()["model_id"]
    by_name = [
        (await _problem(registry, await senders.send_trained(_with_parent(name))), name)
        for name in ("elsewhere.secret", "elsewhere.nothing")
    ]
    by_id = [
        (await _problem(registry, await senders.send_trained(_with_parent(id_))), id_)
        for id_ in (model_id, str(uuid.uuid4()))
    ]
    own_id = [
        (await _problem(registry, await senders.send_trained(trained(id_))), id_)
        for id_ in (model_id, str(uuid.uuid4()))
    ]
    for pair in (by_name, by_id, own_id):
        exists, not_there = [(*found[:2], found[2].replace(name, "MODEL")) for found, name in pair]
        assert exists == not_there
        assert exists[1] == "unknown_model"


async def test_a_role_granted_a_moment_ago_counts_for_a_parent(registry, senders):
    async with registry.client("stranger") as client:
        await client.post("/models/elsewhere.base/versions", json=trained("elsewhere.base"))
    async with registry.client("root") as client:
        await client.put("/access/identities/ci/roles", json={"role": "publisher", "namespace": "elsewhere"})
    message_id = await senders.send_trained(_with_parent("elsewhere.base"))
    assert (await _answer(registry, message_id))["state"] == "registered"
