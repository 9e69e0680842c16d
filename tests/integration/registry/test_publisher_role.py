"""A publisher learns before an upload whether it may register versions of a model."""

from __future__ import annotations

import pytest

from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers


async def test_the_answer_is_that_of_a_registration_whatever_the_model_is_called(registry):
    async with registry.client("ci") as ci, registry.client("stranger") as stranger:
        assert (await ci.post("/models/team.churn/versions", json=trained())).status_code == 201
        model = (await ci.get("/models/team.churn")).json()
        async with registry.client("root") as root:
            renamed = await root.patch(
                "/models/team.churn", json={"name": "team.leavers"}, headers={"if-match": "*"}
            )
            assert renamed.status_code == 200
        for name in ("team.churn", "team.leavers", "team.new", "team.below.new", model["model_id"]):
            answer = await ci.get(f"/models/{name}/publisher")
            assert (answer.status_code, answer.json()["publisher"]) == (200, "ci"), name
        for name in ("team.churn", "team.leavers", "team.new"):
            answer = await stranger.get(f"/models/{name}/publisher")
            assert (answer.status_code, answer.json()["code"]) == (403, "role_missing"), name
        by_id = await stranger.get(f"/models/{model['model_id']}/publisher")
        assert (by_id.status_code, by_id.json()["code"]) == (404, "unknown_model")
        everywhere = await ci.get("/models/plain/publisher")
        assert "everywhere (namespace '*')" in everywhere.json()["detail"]


async def test_the_answer_about_a_signer_is_for_those_with_a_role_there(registry):
    async with registry.client("ann") as ann, registry.client("stranger") as stranger:
        path = "/models/team.churn/publisher"
        asked = {
            who: [(await one.get(path, params={"publisher": p})).status_code for p in ("ci", "eva", "nobody")]
            for who, one in (("ann", ann), ("stranger", stranger))
        }
        assert asked == {"ann": [200, 403, 403], "stranger": [403, 403, 403]}
        own = await ann.get(path)
        assert own.json()["detail"].startswith("ann needs the role 'publisher' in the namespace 'team'")
