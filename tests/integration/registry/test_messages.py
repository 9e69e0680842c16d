"""From Kafka to the log and back to Kafka: the registry as a process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg
import pytest

from regista.wire.keys import generate_signing_key
from tests.integration.registry.conftest import stored, trained

pytestmark = pytest.mark.servers

WAITS_FOR_REFUSALS = """
SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'registry.refusals'::regclass AND NOT granted)
"""


async def dead_letters(registry: Any, count: int) -> list[dict[str, Any]]:
    """The dead letters of the training topic, once there are so many."""
    async with registry.client("root") as client:

        async def answered() -> Any:
            answer = await client.get("/dlq")
            items = answer.json().get("items", [])
            return items if answer.status_code == 200 and len(items) >= count else None

        return await registry.until(answered)


async def publication(registry: Any, message_id: str, **query: Any) -> dict[str, Any]:
    async with registry.client("ci") as client:

        async def answered() -> Any:
            answer = await client.get(f"/publications/{message_id}", params=query)
            return answer.json() if answer.status_code == 200 else None

        return await registry.until(answered)


async def test_a_model_goes_from_kafka_to_production_and_back(registry, senders):
    first = await senders.send_trained(trained())
    found = await publication(registry, first)
    assert (found["state"], found["semver"], found["number"]) == ("registered", "1.0.0", 1)
    version = await registry.version("team.churn@1")
    await senders.send_passing_verdicts(version)
    await registry.version("team.churn@1", stage="Validated", artifact_state="available")
    async with registry.client() as client:
        promotion = (
            await client.post(
                "/models/team.churn/versions/1.0.0:promote", json={"reason": "first", "serve": True}
            )
        ).json()
        assert (
            await client.post("/models/team.churn/versions/1:promote", json={"serve": True})
        ).json() == promotion | {"new": False}
        await senders.send_grant(promotion)
        await registry.version("team.churn@@production", number=1, stage="Production")
        await senders.send_trained(trained(artifact=2, dataset={"name": "more", "digest": "sha256:d2"}))
        second = await registry.version("team.churn@2", semver="1.0.1")
        assert second["bump"]["rule"] == "data.changed"
        await senders.send_passing_verdicts(second)
        await registry.version("team.churn@2", stage="Validated")
        await senders.send_grant((await client.post("/models/team.churn/versions/2:promote", json={})).json())
        await registry.version("team.churn@2", stage="Production")
        rollout = await client.get("/models/team.churn/rollouts/production")
        split = {
            "entries": [
                {"number": 1, "percent": 90, "role": "champion"},
                {"number": 2, "percent": 10, "role": "challenger"},
            ],
            "reason": "try",
        }
        answer = await client.post(
            "/models/team.churn/rollouts/production",
            json=split,
            headers={"if-match": rollout.headers["etag"]},
        )
        assert answer.status_code == 200, answer.text
        stale = await client.post(
            "/models/team.churn/rollouts/production",
            json=split,
            headers={"if-match": rollout.headers["etag"]},
        )
        assert stale.status_code == 412
        switch = {"entries": [{"number": 2, "percent": 100, "role": "champion"}]}
        assert (
            await client.post(
                "/models/team.churn/rollouts/production", json=switch, headers={"if-match": "*"}
            )
        ).status_code == 200
        assert (await client.get("/models/team.churn/versions/1")).json()["stage"] == "Archived"
        back = await client.post("/models/team.churn/rollouts/production:rollback", json={"reason": "worse"})
        assert (back.json()["champion"], back.json()["rolled_back_from"]) == (1, 2)
        resolved = (await client.get("/resolve/team.churn@production")).json()
        assert (resolved["number"], resolved["semver"], resolved["artifact_state"]) == (
            1,
            "1.0.0",
            "available",
        )
    received = await senders.received(13, without=frozenset({"EnvironmentCreated"}))
    assert [type_ for type_, _ in received] == [
        "ModelRegistered",
        "VersionRegistered",
        "VersionValidated",
        "PromotionRequested",
        "VersionPromoted",
        "RolloutChanged",
        "VersionRegistered",
        "VersionValidated",
        "PromotionRequested",
        "VersionPromoted",
        "RolloutChanged",
        "RolloutChanged",
        "VersionArchived",
    ]


async def test_a_refusal_is_in_the_log_with_every_reason_and_a_correction_registers(registry, senders):
    broken = trained()
    del broken["training"]["dataset"], broken["signature"]
    found = await publication(registry, await senders.send_trained(broken))
    assert found["state"] == "refused"
    assert [p["field"] for p in found["problems"]] == ["training.dataset.digest", "signature"]
    async with registry.client("ann") as client:
        (refusal,) = (await client.get("/refusals")).json()["items"]
        assert refusal["model"] == "team.churn"
        assert (await client.get("/models/team.churn")).status_code == 404
    async with registry.client("eve") as client:
        assert (await client.get("/refusals")).json()["items"] == []
    assert (await publication(registry, await senders.send_trained(trained())))["state"] == "registered"


async def test_a_message_is_found_by_its_own_id_whatever_its_correlation_id(registry, senders):
    assert (await publication(registry, await senders.send_trained(trained(), trail="nightly")))[
        "state"
    ] == "registered"
    broken = trained()
    del broken["signature"]
    assert (await publication(registry, await senders.send_trained(broken, trail="nightly")))[
        "state"
    ] == "refused"
    async with registry.client("ci") as client:
        assert (await client.get("/publications/nightly")).status_code == 404


async def test_the_same_message_twice_and_the_same_version_again_make_one(registry, senders, database):
    message = await senders.send_trained(trained())
    await publication(registry, message)
    await senders.send_trained(trained(), message_id=message)
    again = await senders.send_trained(trained())
    found = await publication(
        registry, again, model="team.churn", artifact_digest=trained()["artifact"]["digest"]
    )
    assert (found["state"], found["number"], found["semver"]) == ("existing", 1, "1.0.0")
    assert [type_ for type_, _, _ in await stored(database)] == [
        "EnvironmentCreated",
        "NameClaimed",
        "ModelRegistered",
        "VersionRegistered",
    ]


async def test_a_repeated_version_is_found_by_the_message_of_the_publisher_who_signed_it(registry, senders):
    await publication(registry, await senders.send_trained(trained()))
    again = await senders.send_trained(trained())
    named = {"model": "team.churn", "artifact_digest": trained()["artifact"]["digest"]}
    assert (await publication(registry, again, **named))["state"] == "existing"
    async with registry.client("ann") as client:
        own = await client.get(f"/publications/{again}", params=named)
        others = await client.get(f"/publications/{again}", params={**named, "publisher": "ci"})
    assert (own.status_code, others.json()["state"]) == (404, "existing")


async def test_a_message_id_belongs_to_its_publisher(registry, senders):
    """Two publishers chose the same id: each finds its own message, and no one finds the other's."""
    await senders.send_trained(trained(), message_id="run-1")
    broken = trained("elsewhere.churn")
    del broken["signature"]
    await senders.send_trained(broken, publisher="stranger", message_id="run-1")
    assert (await publication(registry, "run-1"))["state"] == "registered"
    async with registry.client("root") as client:

        async def of_the_stranger():
            answer = await client.get("/publications/run-1", params={"publisher": "stranger"})
            return answer.json() if answer.status_code == 200 else None

        found = await registry.until(of_the_stranger)
        of_neither = await client.get("/publications/run-1")
    assert (found["state"], found["model"], of_neither.status_code) == ("refused", "elsewhere.churn", 404)


async def test_a_new_version_is_not_called_existing_while_it_is_being_registered(registry, senders, database):
    named = {"model": "team.churn", "artifact_digest": trained()["artifact"]["digest"]}
    holder = await asyncpg.connect(database.owner_url)
    try:
        async with registry.client("ci") as client:
            async with holder.transaction():
                await holder.execute("LOCK registry.refusals IN ACCESS EXCLUSIVE MODE")
                looked_up = asyncio.create_task(client.get("/publications/nightly", params=named))
                await registry.until(lambda: holder.fetchval(WAITS_FOR_REFUSALS))
                await senders.send_trained(trained(), message_id="nightly")
                await registry.version("team.churn@1")
            answer = await looked_up
    finally:
        await holder.close()
    assert (answer.status_code, answer.json().get("state")) != (200, "existing")
    assert (await publication(registry, "nightly", **named))["state"] == "registered"


async def test_pipelines_that_race_on_a_new_model_make_one_model_and_no_number_twice(registry, senders):
    await asyncio.gather(*[senders.send_trained(trained(artifact=n)) for n in range(1, 31)])
    version = await registry.version("team.churn@30")
    assert version["model"] == "team.churn"
    async with registry.client() as client:
        versions = (await client.get("/models/team.churn/versions", params={"page_size": 100})).json()[
            "items"
        ]
        assert [v["number"] for v in versions] == list(range(30, 0, -1))
        assert len({v["semver"] for v in versions}) == 30
        assert len((await client.get("/models")).json()["items"]) == 1


async def test_messages_that_are_not_allowed_become_dead_letters_and_the_rest_goes_on(registry, senders):
    await senders.send_trained(trained(), key=generate_signing_key("ci"))
    await senders.send_trained(trained(), publisher="stranger")
    await senders.send_trained(trained() | {"surprise": 1})
    await senders.send_trained(trained("a..b"))
    good = await senders.send_trained(trained())
    assert (await publication(registry, good))["number"] == 1
    assert len(await dead_letters(registry, 4)) == 4


async def test_wrong_bytes_reject_and_a_parent_of_a_live_version_is_not_retired(registry, senders):
    await publication(registry, await senders.send_trained(trained("team.base")))
    child = trained("team.tuned") | {
        "parents": [{"model": "team.base", "number": 1, "relation": "base_model"}]
    }
    await publication(registry, await senders.send_trained(child))
    base, tuned = await registry.version("team.base@1"), await registry.version("team.tuned@1")

    async def propose(version: dict[str, Any]) -> None:
        stream = f"retention-{version['model_id']}"
        await senders.publish(
            "cleanup",
            "RetirementProposed",
            stream,
            model_id=version["model_id"],
            number=1,
            rule="unused",
            sweep_id="s",
            reason="unused",
        )

    await propose(base)
    digest = tuned["artifact"]["digest"]
    about = {"model_id": tuned["model_id"], "number": 1, "digest": digest}
    await senders.publish(
        "artifact",
        "ArtifactMismatched",
        f"artifact-{digest[7:]}",
        found="sha256:0",
        detail="other bytes",
        **about,
    )
    rejected = await registry.version("team.tuned@1", stage="Rejected")
    assert "other bytes" in rejected["reasons"][0]
    await propose(tuned)

    async def retired() -> Any:
        return (await registry.version("team.tuned@1"))["retired"]

    assert (await registry.until(retired))["rule"] == "unused"
    assert (await registry.version("team.tuned@1"))["stage"] == "Rejected"
    assert (await registry.version("team.base@1"))["retired"] is None
    await propose(base)
    await registry.version("team.base@1", stage="Archived")


async def test_two_replicas_share_the_work_and_a_killed_one_loses_nothing(empty_kafka, start, senders):
    one, two = start(), start()
    await one.ready()
    await two.ready()
    models = [f"team.m{n}" for n in range(6)]

    async def publish() -> None:
        for artifact in range(1, 21):
            await asyncio.gather(*[senders.send_trained(trained(model, artifact)) for model in models])

    publishing = asyncio.create_task(publish())
    await two.version("team.m0@5")
    one.kill()
    await publishing
    for model in models:
        await two.version(f"{model}@20")
        async with two.client() as client:
            versions = (await client.get(f"/models/{model}/versions", params={"page_size": 100})).json()[
                "items"
            ]
        assert len({v["semver"] for v in versions}) == len(versions) == 20
    with contextlib.suppress(ProcessLookupError):
        assert two.end() == 0
