"""A renamed model answers under every name that it ever had, in lists, too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers


async def test_lists_find_a_renamed_model_by_its_old_name(registry):
    async with registry.client("root") as root, registry.client("eva") as eva:
        made = await root.post("/models/team.churn/versions", json=trained("team.churn", artifact=1))
        model_id = made.json()["model_id"]
        refused = await root.post("/models/team.churn/versions", json={"training": {}})
        now = {"if-match": "*"}
        assert refused.status_code == 422
        renamed = await root.patch("/models/team.churn", json={"name": "team.leave"}, headers=now)
        assert renamed.json()["model"] == "team.leave"
        await root.post("/models/team.leave/versions", json={"training": {}})

        async def refusals(client: Any, model: str) -> int:
            return len((await client.get("/refusals", params={"model": model})).json()["items"])

        for name in ("team.churn", "team.leave", model_id):
            assert await refusals(root, name) == 2
            assert await refusals(eva, name) == 2
            found = await root.get(f"/models/{name}/versions/1")
            assert (found.json()["model"], found.json()["number"]) == ("team.leave", 1)
            assert (await root.get("/serving", params={"model": name})).status_code == 200
        items = (await eva.get("/models", params={"search": "churn"})).json()["items"]
        assert [m["model"] for m in items] == ["team.leave"]
