"""Rollouts over HTTP: stop, dry run, stale changes, routing, withdraw and its reversal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers
ROLLOUT = "/models/team.churn/rollouts/production"


async def promoted(registry: Any, senders: Any, client: Any, number: int, **training: Any) -> None:
    """A version in Production; the first one serves."""
    body = trained(artifact=number, config={"depth": number}, **training)
    made = await client.post("/models/team.churn/versions", json=body)
    await senders.send_passing_verdicts(made.json())
    await registry.version(f"team.churn@{number}", stage="Validated")
    serve = {"serve": True} if number == 1 else {}
    promotion = await client.post(f"/models/team.churn/versions/{number}:promote", json=serve)
    assert promotion.json()["serve"] is (number == 1)
    await senders.send_grant(promotion.json())
    await registry.version(f"team.churn@{number}", stage="Production")


def switch(number: int, **more: Any) -> dict[str, Any]:
    return {"entries": [{"number": number, "percent": 100, "role": "champion"}], **more}


async def test_a_split_is_ended_a_rollback_is_shown_first_and_a_rollout_is_stopped(registry, senders):
    async with registry.client("root") as client, registry.client("ann") as ann:
        await promoted(registry, senders, client, 1)
        await promoted(registry, senders, client, 2, dataset={"name": "other", "digest": "sha256:d2"})
        split = [
            {"number": 1, "percent": 60, "role": "champion"},
            {"number": 2, "percent": 40, "role": "challenger"},
        ]
        star = {"if-match": "*"}
        await client.post(ROLLOUT, json={"entries": split}, headers=star)
        plan = (await client.post(ROLLOUT + ":rollback", json={"reason": "x", "dry_run": True})).json()
        assert (plan["champion"], plan["dry_run"], len(plan["previous"])) == (1, True, 2)
        present = (await client.get(ROLLOUT)).json()
        assert (present["revision"], len(present["entries"]), present["dry_run"]) == (
            plan["revision"],
            2,
            False,
        )
        ended = (await client.post(ROLLOUT + ":rollback", json={"reason": "x", "from_number": 1})).json()
        assert ([e["number"] for e in ended["entries"]], ended["rolled_back_from"]) == ([1], None)
        assert (await registry.version("team.churn@2"))["promotions"][0]["state"] == "spent"
        refused = await client.post(ROLLOUT, json=switch(1, from_number=2), headers=star)
        assert (refused.status_code, refused.json()["champion"]) == (412, 1)
        refused = (await client.post(ROLLOUT + ":rollback", json={"reason": "x"})).json()
        assert (refused["code"], "rollout stop" in refused["detail"]) == ("no_rollback_target", True)

        await client.post("/models/team.churn/versions/1:withdraw", json={"reason": "poisoned"})
        for path in ("/models/team.churn/route?key=u",):
            assert (await client.get(path)).json()["code"] == "version_withdrawn"
        assert (await client.get(ROLLOUT)).json()["entries"][0]["withdrawn"] == "poisoned"
        stopped = (await client.post(ROLLOUT + ":stop", json={"reason": "poisoned"})).json()
        assert (stopped["champion"], stopped["entries"], stopped["reason"]) == (0, [], "poisoned")
        for path in ("/models/team.churn/route?key=u", "/resolve/team.churn@production"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (409, "rollout_stopped")
        async with registry.client("stranger") as stranger:
            hidden = await stranger.get("/resolve/team.churn@production")
            assert (hidden.status_code, hidden.json()["code"]) == (404, "unknown_alias")
        assert (await client.get("/models/team.churn/versions/@production")).status_code == 404
        own = await client.post("/models/team.churn/versions/1:reinstate", json={"reason": "mistake"})
        assert (own.status_code, own.json()["code"]) == (403, "own_withdrawal")
        assert (
            await ann.post("/models/team.churn/versions/1:reinstate", json={"reason": "x"})
        ).status_code == 403
    async with registry.client("eva") as eva:
        back = await eva.post("/models/team.churn/versions/1:reinstate", json={"reason": "mistake"})
        assert (back.json()["withdrawn"], back.json()["stage"]) == (None, "Archived")
        back = await eva.post(ROLLOUT + ":rollback", json={"reason": "mistake", "to_number": 1})
        assert back.json()["champion"] == 1


async def test_a_rollback_avoids_versions_that_share_data_or_parents_with_a_withdrawn_one(registry, senders):
    data = [{"dataset": {"name": f"d{n}", "digest": f"sha256:d{n}"}} for n in (1, 2, 3, 4)]
    async with registry.client("root") as client:
        for number, training in enumerate(data, 1):
            await promoted(registry, senders, client, number, **training)
            if number > 1:
                await client.post(ROLLOUT, json=switch(number), headers={"if-match": "*"})
        same = trained(artifact=9, config={"depth": 9}, **data[2])
        await client.post("/models/team.churn/versions", json=same)
        await client.post("/models/team.churn/versions/5:withdraw", json={"reason": "d3 is poisoned"})
        rolled = (await client.post(ROLLOUT + ":rollback", json={"reason": "x"})).json()
        assert (rolled["champion"], rolled["warning"]) == (2, "")
        why = "was trained on the same data as team.churn 5, which is withdrawn"
        assert rolled["skipped"] == [{"number": 3, "why": why}]


async def test_a_reason_does_not_name_a_version_of_another_namespace(registry, senders):
    data = [{"dataset": {"name": f"d{n}", "digest": f"sha256:d{n}"}} for n in (1, 2, 3)]
    async with registry.client("root") as client:
        for number, training in enumerate(data, 1):
            await promoted(registry, senders, client, number, **training)
            if number > 1:
                await client.post(ROLLOUT, json=switch(number), headers={"if-match": "*"})
        same = trained("elsewhere.secret", artifact=9, **data[1])
        made = await client.post("/models/elsewhere.secret/versions", json=same)
        assert made.status_code == 201
        await client.post("/models/elsewhere.secret/versions/1:withdraw", json={"reason": "d2 is poisoned"})
        rolled = (await client.post(ROLLOUT + ":rollback", json={"reason": "x"})).json()
        assert rolled["champion"] == 1
        why = "was trained on the same data as a version of another namespace, which is withdrawn"
        assert rolled["skipped"] == [{"number": 2, "why": why}]
