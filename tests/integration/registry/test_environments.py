"""Environments over HTTP: declared at the start, refused when unknown, and what serves where."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.deciding.decider import RuleBroken
from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers


async def created(client: Any, name: str, *, production: bool = False, **more: Any) -> dict[str, Any]:
    answer = await client.post("/environments", json={"name": name, "production": production, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def names(client: Any, **query: Any) -> list[str]:
    return [e["environment"] for e in (await client.get("/environments", params=query)).json()["items"]]


async def served(registry: Any, senders: Any, client: Any, model: str, number: int, environment: str) -> None:
    made = await client.post(f"/models/{model}/versions", json=trained(model, artifact=number))
    await senders.send_passing_verdicts(made.json())
    await registry.version(f"{model}@{number}", stage="Validated")
    request = {"serve": True, "environment": environment}
    promotion = await client.post(f"/models/{model}/versions/{number}:promote", json=request)
    assert promotion.status_code == 202, promotion.text
    await senders.send_grant(promotion.json())

    async def serves() -> Any:
        answer = await client.get(f"/models/{model}/rollouts/{environment}")
        return answer.json() if answer.status_code == 200 else None

    assert (await registry.until(serves))["champion"] == number


async def test_environments_are_declared_listed_edited_and_retired(registry):
    async with registry.client("root") as root, registry.client("eva") as eva:
        assert await names(eva) == ["production"]
        await created(root, "staging", order=20)
        assert (
            await eva.post("/environments", json={"name": "team.lab", "production": False})
        ).status_code == 403
        await created(root, "team.lab", order=10)
        await created(root, "elsewhere.lab", production=True)
        assert await names(root) == ["staging", "production", "elsewhere.lab", "team.lab"]
        assert await names(eva) == ["staging", "production", "team.lab"]
        assert await names(eva, namespace="other") == ["staging", "production"]
        assert await names(root, page_size=1) == ["staging"]
        twice = await root.post("/environments", json={"name": "team.staging", "production": True})
        assert (twice.status_code, twice.json()["code"]) == (409, "environment_name_taken")
        hidden = await eva.get("/environments/elsewhere.lab")
        assert (hidden.status_code, hidden.json()["code"]) == (404, "unknown_environment")
        found = await root.get("/environments/team.lab")
        edited = await root.patch(
            "/environments/team.lab", json={"order": 5}, headers={"if-match": found.headers["etag"]}
        )
        assert (edited.json()["order"], edited.json()["production"]) == (5, False)
        stale = await root.patch(
            "/environments/team.lab", json={"order": 6}, headers={"if-match": found.headers["etag"]}
        )
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_environment")
        assert (await root.post("/environments/team.lab:retire", json={"reason": "done"})).json()["retired"]
        assert "team.lab" not in await names(eva)
        assert "team.lab" in await names(eva, retired=True)


async def test_a_mistyped_environment_is_refused_with_the_nearest_name_wherever_it_is_written(
    registry, senders
):
    async with registry.client("root") as root:
        await served(registry, senders, root, "team.churn", 1, "production")
        switch = {"entries": [{"number": 1, "percent": 100, "role": "champion"}]}
        at = "/models/team.churn"
        answers = [
            await root.post(f"{at}/versions/1:promote", json={"environment": "prodction"}),
            await root.post(f"{at}/rollouts/prodction", json=switch, headers={"if-match": "*"}),
            await root.get(f"{at}/rollouts/prodction"),
            await root.post(f"{at}/rollouts/prodction:rollback", json={"reason": "worse"}),
            await root.post(f"{at}/rollouts/prodction:stop", json={"reason": "worse"}),
            await root.get(f"{at}/route", params={"environment": "prodction"}),
            await root.get("/serving", params={"environment": "prodction"}),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_environment")
            assert answer.json()["nearest"] == "production"
        for path in (f"{at}/versions/@prodction", "/resolve/team.churn@prodction"):
            answer = await root.get(path)
            assert (answer.status_code, "Did you mean @production?" in answer.json()["detail"]) == (404, True)
        assert (await root.get(f"{at}/versions/1")).json()["promotions"][0]["state"] == "promoted"


async def test_an_environment_in_which_nothing_serves_yet_is_no_mistyped_name(registry):
    async with registry.client("ci") as ci:
        await ci.post("/models/team.churn/versions", json=trained())
        for path in ("/models/team.churn/versions/@production", "/resolve/team.churn@production"):
            answer = await ci.get(path)
            detail = answer.json()["detail"]
            assert (answer.status_code, "Did you mean" in detail) == (404, False)
            assert "No version serves in production" in detail


async def test_what_serves_where_is_one_list(registry, senders):
    async with registry.client("root") as root, registry.client("eva") as eva:
        await created(root, "staging")
        await served(registry, senders, root, "team.churn", 1, "production")
        await served(registry, senders, root, "team.churn", 2, "staging")
        await served(registry, senders, root, "elsewhere.spam", 1, "production")
        version = await registry.version("team.churn@2")
        assert (version["stage"], version["promotions"][0]["production"]) == ("Validated", False)

        async def list_(client: Any = root, **query: Any) -> list[tuple[str, str, int]]:
            items = (await client.get("/serving", params=query)).json()["items"]
            return [(i["model"], i["environment"], i["champion"]) for i in items]

        spam, live, test = (
            ("elsewhere.spam", "production", 1),
            ("team.churn", "production", 1),
            ("team.churn", "staging", 2),
        )
        assert await list_() == [spam, live, test]
        assert await list_(eva) == [live, test]
        assert await list_(production=False) == [test]
        assert await list_(environment="production") == [spam, live]
        assert await list_(namespace="team") == [live, test]
        assert await list_(model="team.churn", environment="staging") == [test]
        token = (await root.get("/serving", params={"page_size": 2})).json()["next_page_token"]
        assert await list_(page_size=2, page_token=token) == [test]
        used = await root.post("/environments/staging:retire", json={"reason": "x"})
        assert (used.status_code, used.json()["models"]) == (409, ["team.churn"])
        await root.post("/models/team.churn/rollouts/staging:stop", json={"reason": "x"})
        assert await list_() == [spam, live]
        assert await list_(stopped=True, production=False) == [("team.churn", "staging", 0)]
        assert (await root.post("/environments/staging:retire", json={"reason": "x"})).status_code == 200


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("first", ["use", "retirement"])
async def test_an_environment_is_never_retired_while_a_use_of_it_is_decided(
    registry, senders, writers, replicas, first
):
    one, other = writers[0], writers[replicas - 1]
    async with registry.client("root") as root:
        await created(root, "staging")
        await served(registry, senders, root, "team.churn", 1, "staging")
        model_id = (await root.get("/models/team.churn")).json()["model_id"]
        for _ in range(10):
            await one.stop(model_id, "staging")
            commands = [one.go_back(model_id, "staging", 1), other.retire("staging")]
            if first == "retirement":
                commands.reverse()
            answers = await asyncio.gather(*commands, return_exceptions=True)
            refused = [answer.code for answer in answers if isinstance(answer, RuleBroken)]
            assert refused in (["environment_retired"], ["environment_in_use"]), answers
            assert not await one.is_used_and_retired("staging")
            if refused == ["environment_retired"]:
                await created(root, "staging")
                await one.go_back(model_id, "staging", 1)
