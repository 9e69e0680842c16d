"""`model@latest`: the newest version that may be used, wherever a version is named."""

from __future__ import annotations

import pytest

from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers

MODEL = "/models/team.churn"


async def latest(client) -> int:
    """The number that every door gives."""
    resolved = await client.get("/resolve/team.churn@latest")
    shown = await client.get(MODEL + "/versions/@latest")
    diff = await client.get(MODEL + "/diff", params={"from": "1", "to": "@latest"})
    assert [r.status_code for r in (resolved, shown, diff)] == [200, 200, 200]
    (number,) = {resolved.json()["number"], shown.json()["number"], diff.json()["new"]["number"]}
    return int(number)


async def test_the_latest_version_is_the_newest_that_is_complete_and_neither_rejected_nor_withdrawn(registry):
    async with registry.client("ci") as ci, registry.client("eva") as eva:
        for artifact in (1, 2, 3, 4):
            made = await ci.post(MODEL + "/versions", json=trained(artifact=artifact))
            assert made.status_code == 201
        assert await latest(eva) == 4
        draft = await ci.post(MODEL + "/versions", json=trained(artifact=5) | {"draft": True})
        assert (draft.json()["number"], await latest(eva)) == (5, 4)
        await eva.post(MODEL + "/versions/4:reject", json={"reason": "no"})
        assert await latest(eva) == 3
        await eva.post(MODEL + "/versions/3:recall", json={"reason": "no"})
        assert await latest(eva) == 2


async def test_without_a_usable_version_there_is_no_latest_one(registry):
    async with registry.client("ci") as ci:
        assert (await ci.post(MODEL + "/versions", json={"draft": True})).status_code == 201
        for path, code in (
            ("/resolve/team.churn@latest", "unknown_alias"),
            (MODEL + "/versions/@latest", "unknown_version"),
        ):
            answer = await ci.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, code)
            assert "each is a draft, rejected, withdrawn or retired" in answer.json()["detail"]


async def test_a_foreign_model_has_no_latest_version(registry):
    async with registry.client("ci") as ci, registry.client("eve") as eve:
        assert (await ci.post(MODEL + "/versions", json=trained())).status_code == 201
        assert (await eve.get("/resolve/team.churn@latest")).status_code == 404


async def test_nothing_else_is_called_latest(registry):
    async with registry.client("ci") as ci, registry.client("eva") as eva:
        await ci.post(MODEL + "/versions", json=trained())
        refused = await eva.put(MODEL + "/aliases/latest", json={"number": 1})
        assert (refused.status_code, refused.json()["code"]) == (422, "reserved_alias")
