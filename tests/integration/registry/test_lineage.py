"""Lineage over HTTP: what a data set and a version went into, and what a withdrawal does to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.registry.conftest import trained
from tests.integration.registry.test_as_of import with_times

pytestmark = pytest.mark.servers
URL = "hf://google/bert-base@5c3fe2"
POISON = {"name": "reviews-2026", "digest": "sha256:poison"}
WITHDRAWN = "was made from team.base 1, which is withdrawn"


def made_from(*parents: str, model: str, **training: Any) -> dict[str, Any]:
    """ModelTrained of a version that was made from others: `team.base@1`, or a URL."""
    named = [
        {"model": p, "relation": "base_model", "digest": "sha256:" + "9" * 64}
        if "://" in p
        else {"model": p.partition("@")[0], "number": int(p.partition("@")[2]), "relation": "base_model"}
        for p in parents
    ]
    artifact = int.from_bytes(model.encode())
    return trained(model, artifact=artifact, **training) | {"parents": named}


async def register(client: Any, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"/models/{body['model']}/versions", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def family(client: Any) -> None:
    """A base trained on the poison, its child, a grandchild; and a model that was only evaluated on it."""
    await register(client, made_from(URL, model="team.base", dataset=POISON))
    await register(client, made_from("team.base@1", model="team.mid"))
    await register(client, made_from("team.mid@1", model="team.leaf"))
    metric = {
        "name": "auc",
        "value": 0.9,
        "dataset_digest": POISON["digest"],
        "dataset_name": POISON["name"],
        "primary": True,
    }
    await register(client, made_from(model="team.judged", metrics=[metric]))


async def serve(registry: Any, senders: Any, client: Any, model: str) -> None:
    made = (await client.get(f"/models/{model}/versions/1")).json()
    await senders.send_passing_verdicts(made)
    await registry.version(f"{model}@1", stage="Validated")
    promotion = (await client.post(f"/models/{model}/versions/1:promote", json={"serve": True})).json()
    await senders.send_grant(promotion)
    await registry.version(f"{model}@1", stage="Production")


def summary(nodes: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(node["model"], node["generation"]) for node in nodes]


async def test_a_data_set_is_followed_to_what_was_evaluated_on_it_and_made_from_it(registry, senders):
    async with registry.client("root") as client:
        await family(client)
        await serve(registry, senders, client, "team.leaf")
        for reference in (POISON["name"], POISON["digest"]):
            found = (await client.get("/versions", params={"trained_on": reference})).json()
            assert {(i["model"], i["use"], i["generation"]) for i in found["items"]} == {
                ("team.base", "training", 0),
                ("team.judged", "evaluation", 0),
                ("team.mid", "parent", 1),
                ("team.leaf", "parent", 2),
            }
            assert found["truncated"] is False
        (leaf,) = (i for i in found["items"] if i["model"] == "team.leaf")
        assert [(s["environment"], s["until"]) for s in leaf["served"]] == [("production", None)]
        await client.post("/models/team.leaf/rollouts/production:stop", json={"reason": "x"})
        found = (await client.get("/versions", params={"trained_on": POISON["name"]})).json()
        (leaf,) = (i for i in found["items"] if i["model"] == "team.leaf")
        assert (leaf["rollouts"], leaf["served"][0]["until"] is not None) == ([], True)


async def test_the_lineage_of_a_version_goes_up_and_down_and_a_url_down(registry):
    async with registry.client("root") as client:
        await family(client)
        mid = (await client.get("/models/team.mid/versions/1/lineage")).json()
        assert summary(mid["ancestors"]) == [("team.base", 1), (URL, 2)]
        assert mid["ancestors"][1]["digest"] == "sha256:" + "9" * 64
        assert summary(mid["descendants"]) == [("team.leaf", 1)]
        outside = (await client.get("/lineage", params={"parent": URL})).json()
        assert summary(outside["descendants"]) == [("team.base", 1), ("team.mid", 2), ("team.leaf", 3)]
        assert (await client.get("/lineage", params={"parent": "hf://none@1"})).json()["descendants"] == []
        await register(client, made_from("team.mid@1", model="elsewhere.far"))
    async with registry.client("eva") as eva:
        mid = (await eva.get("/models/team.mid/versions/1/lineage")).json()
        assert (summary(mid["descendants"]), mid["hidden"]) == ([("team.leaf", 1)], 1)


async def test_a_lineage_is_shown_as_it_was_and_as_of_now_as_it_is(registry, senders):
    path = "/models/team.mid/versions/1/lineage"

    async def as_of(moment: str) -> dict[str, Any]:
        answer = await client.get(path, params={"as_of": moment})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async with registry.client("root") as client:
        before = datetime.now(UTC).isoformat()
        await family(client)
        then = datetime.now(UTC).isoformat()
        await register(client, made_from("team.mid@1", model="elsewhere.far"))
        await serve(registry, senders, client, "team.leaf")
        await client.post("/models/team.base/versions/1:withdraw", json={"reason": "poisoned"})
        past = await as_of(then)
        assert summary(past["ancestors"]) == [("team.base", 1), (URL, 2)]
        assert (past["ancestors"][0]["withdrawn"], past["too_long"]) == (None, [])
        (leaf,) = past["descendants"]
        assert (leaf["model"], leaf["stage"], leaf["served"], leaf["rollouts"]) == (
            "team.leaf",
            "Staging",
            [],
            [],
        )
        present = with_times((await client.get(path)).json())
        assert with_times(await as_of(datetime.now(UTC).isoformat())) == present
        assert present["ancestors"][0]["withdrawn"] == "poisoned"
        early = await client.get(path, params={"as_of": before})
        assert (early.status_code, early.json()["code"]) == (404, "not_registered_yet")
    async with registry.client("eva") as eva:
        later = (await eva.get(path, params={"as_of": datetime.now(UTC).isoformat()})).json()
        assert (summary(later["descendants"]), later["hidden"]) == ([("team.leaf", 1)], 1)


async def test_a_withdrawn_ancestor_is_shown_where_a_version_is_read_and_ends_its_promotions(
    registry, senders
):
    async with registry.client("root") as client:
        await family(client)
        await serve(registry, senders, client, "team.leaf")
        mid = (await client.get("/models/team.mid/versions/1")).json()
        await senders.send_passing_verdicts(mid)
        await registry.version("team.mid@1", stage="Validated")
        await client.post("/models/team.mid/versions/1:promote", json={})
        withdrawn = await client.post("/models/team.base/versions/1:withdraw", json={"reason": "poisoned"})
        assert withdrawn.json()["withdrawn_ancestors"] == []
        for path in (
            "/models/team.mid/versions/1",
            "/models/team.leaf/versions/1",
            "/resolve/team.leaf@production",
        ):
            assert (await client.get(path)).json()["withdrawn_ancestors"] == [WITHDRAWN]
        (refused,) = (await client.get("/models/team.mid/versions/1")).json()["promotions"]
        assert (refused["state"], refused["reasons"]) == ("refused", [f"the version {WITHDRAWN}"])
        again = await client.post("/models/team.mid/versions/1:promote", json={})
        assert again.status_code == 202
        young = await register(client, made_from("team.leaf@1", model="team.young"))
        assert young["withdrawn_ancestors"] == [WITHDRAWN]
    async with registry.client("eva") as eva:
        await eva.post("/models/team.base/versions/1:reinstate", json={"reason": "mistake"})
        assert (await eva.get("/models/team.mid/versions/1")).json()["withdrawn_ancestors"] == []


async def test_a_policy_without_the_gate_may_grant_a_request_that_names_the_withdrawn_ancestor(
    registry, senders
):
    async with registry.client("root") as client:
        await family(client)
        leaf = (await client.get("/models/team.leaf/versions/1")).json()
        await senders.send_passing_verdicts(leaf)
        await registry.version("team.leaf@1", stage="Validated")
        sound = (await client.post("/models/team.leaf/versions/1:promote", json={})).json()
        await client.post("/models/team.base/versions/1:withdraw", json={"reason": "poisoned"})
        unsound = (await client.post("/models/team.leaf/versions/1:promote", json={})).json()
        assert unsound["digest"] != sound["digest"]
        await senders.send_grant(unsound)
        await registry.version("team.leaf@1", stage="Production")
