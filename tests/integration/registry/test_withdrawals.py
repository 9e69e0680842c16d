"""Withdraw what was trained on a data set over HTTP: the plan, the step, the second person, the reversal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.registry.conftest import trained
from tests.integration.registry.test_environments import served

pytestmark = pytest.mark.servers
POISONED = {"dataset": {"name": "bank-0312", "digest": "sha256:d12"}}
OTHER = {"dataset": {"name": "bank-0313", "digest": "sha256:d13"}}
REASON = {"reason": "bank-0312 is poisoned"}


async def registered(client: Any, model: str, number: int, data: dict[str, Any]) -> None:
    body = trained(model, artifact=number, config={"depth": number}, **data)
    assert (await client.post(f"/models/{model}/versions", json=body)).status_code == 201


def outcomes(answer: Any) -> dict[str, str]:
    return {f"{v['model']}@{v['number']}": v["outcome"] for v in answer.json()["versions"]}


async def test_what_was_trained_on_a_data_set_is_withdrawn_in_one_step_and_reinstated_by_another(
    registry, senders
):
    async with registry.client("root") as root, registry.client("eva") as eva:
        await registered(root, "team.churn", 1, POISONED)
        await registered(root, "team.churn", 2, OTHER)
        await registered(root, "elsewhere.spam", 1, POISONED)
        await registered(root, "team.leave", 1, POISONED)
        await root.post("/models/team.leave/versions/1:withdraw", json={"reason": "another reason"})

        plan = await root.post(
            "/versions:withdraw", json={"trained_on": "bank-0312", "dry_run": True, **REASON}
        )
        expected = {"elsewhere.spam@1": "withdrawn", "team.churn@1": "withdrawn", "team.leave@1": "unchanged"}
        assert outcomes(plan) == expected
        assert (await registry.version("team.churn@1"))["withdrawn"] is None

        step = {"trained_on": "sha256:d12", **REASON}
        unread = await root.post("/versions:withdraw", json=step)
        assert (unread.status_code, unread.json()["code"]) == (428, "plan_required")
        await registered(root, "team.churn", 3, POISONED)
        stale = await root.post("/versions:withdraw", json=step | {"plan": plan.json()["plan"]})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_plan")

        of_eva = await eva.post("/versions:withdraw", json=step | {"dry_run": True})
        assert "elsewhere.spam@1" not in outcomes(of_eva)
        done = await root.post("/versions:withdraw", json=step | {"plan": stale.json()["plan"]})
        assert outcomes(done) == expected | {"team.churn@3": "withdrawn"}
        again = await root.post("/versions:withdraw", json=step | {"plan": stale.json()["plan"]})
        assert set(outcomes(again).values()) == {"unchanged"}
        version = await registry.version("team.churn@3")
        withdrawal = done.json()["withdrawal_id"]
        assert (version["withdrawn"], version["withdrawal_id"]) == (REASON["reason"], withdrawal)

        back = {"withdrawal_id": withdrawal, "reason": "it was bank-0311"}
        planned = (await eva.post("/versions:reinstate", json=back | {"dry_run": True})).json()
        own = await root.post("/versions:reinstate", json=back | {"dry_run": True})
        own = await root.post("/versions:reinstate", json=back | {"plan": own.json()["plan"]})
        assert set(outcomes(own).values()) == {"refused"}
        undone = await eva.post("/versions:reinstate", json=back | {"plan": planned["plan"]})
        assert outcomes(undone) == {"team.churn@1": "reinstated", "team.churn@3": "reinstated"}
        assert (await registry.version("team.churn@1"))["withdrawn"] is None
        assert (await registry.version("team.leave@1"))["withdrawn"] == "another reason"


async def test_the_plan_shows_what_serves_where_and_a_mistyped_data_set_is_an_error(registry, senders):
    async with registry.client("root") as root:
        await served(registry, senders, root, "team.churn", 1, "production")
        data = (await registry.version("team.churn@1"))["training"]["dataset"]["name"]
        step = {"trained_on": data, "dry_run": True, **REASON}
        (version,) = (await root.post("/versions:withdraw", json=step)).json()["versions"]
        assert version["rollouts"] == [{"environment": "production", "percent": 100, "role": "champion"}]
        wrong = await root.post("/versions:withdraw", json=step | {"trained_on": "bnak"})
        assert (wrong.status_code, wrong.json()["code"]) == (404, "nothing_trained_on")
        unknown = await root.post(
            "/versions:reinstate", json={"withdrawal_id": "w", "dry_run": True, **REASON}
        )
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_withdrawal")


async def test_a_policy_may_want_a_second_person(registry, senders):
    async with registry.client("root") as root, registry.client("eva") as eva:
        await registered(root, "team.churn", 1, POISONED)
        version = await registry.version("team.churn@1")
        await senders.publish(
            "approval",
            "GatesEvaluated",
            f"gate-{version['model_id']}@1",
            model_id=version["model_id"],
            number=1,
            stage="Validated",
            passed=True,
            results=[],
            policy={"name": "ours", "revision": 1, "digest": "d", "two_to_recall": True},
        )

        async def noted() -> Any:
            found = await registry.version("team.churn@1")
            return found if found["gates"] else None

        await registry.until(noted)
        step = {"trained_on": "bank-0312", **REASON}
        plan = (await root.post("/versions:withdraw", json=step | {"dry_run": True})).json()
        first = await root.post("/versions:withdraw", json=step | {"plan": plan["plan"]})
        assert outcomes(first) == {"team.churn@1": "proposed"}
        assert (await registry.version("team.churn@1"))["withdrawal_proposed"]["by"] == "root"
        await keyed(registry, "root", "pat")
        await keyed(registry, "pat", "pia")
        for puppet in ("pat", "pia"):
            async with registry.client(puppet) as alone:
                plan = (await alone.post("/versions:withdraw", json=step | {"dry_run": True})).json()
                again = await alone.post("/versions:withdraw", json=step | {"plan": plan["plan"]})
                assert outcomes(again) != {"team.churn@1": "withdrawn"}, "root issued the key of this one"
        plan = (await eva.post("/versions:withdraw", json=step | {"dry_run": True})).json()
        second = await eva.post("/versions:withdraw", json=step | {"plan": plan["plan"]})
        assert outcomes(second) == {"team.churn@1": "withdrawn"}


async def keyed(registry: Any, by: str, subject: str) -> None:
    """A new admin with a key that another one issued."""
    async with registry.client(by) as client:
        made = {"subject": subject, "kind": "person", "name": f"{subject} {subject}"}
        assert (await client.post("/access/identities", json=made)).status_code == 201
        role = {"role": "admin", "namespace": "*"}
        assert (await client.put(f"/access/identities/{subject}/roles", json=role)).status_code == 200
        key = await client.post(f"/access/identities/{subject}/keys", json={"never_expires": True})
        registry.world.api_keys[subject] = key.json()["api_key"]
