"""What a publisher may do over HTTP with versions that they published, and not with those of others."""

from __future__ import annotations

import pytest

from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers

MODEL = "/models/team.churn"


async def test_a_publisher_rejects_and_names_own_versions_only(registry):
    async with registry.client("ci") as ci, registry.client("night") as night:
        for artifact in (1, 2):
            assert (await ci.post(MODEL + "/versions", json=trained(artifact=artifact))).status_code == 201
        set_ = await ci.put(MODEL + "/aliases/candidate", json={"number": 2})
        assert (set_.status_code, set_.json()["set_by"]) == (200, "ci")
        for method, path, body in (
            ("PUT", "/aliases/mine", {"number": 1}),
            ("PUT", "/aliases/candidate", {"number": 1}),
            ("DELETE", "/aliases/candidate", None),
            ("POST", "/versions/1:reject", {"reason": "no"}),
        ):
            refused = await night.request(method, MODEL + path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (403, "not_your_version"), path
        protected = await ci.put(MODEL + "/aliases/mine", json={"number": 1, "protected": True})
        assert (protected.status_code, protected.json()["code"]) == (403, "alias_protected")
        rejected = await ci.post(MODEL + "/versions/1:reject", json={"reason": "wrong month"})
        assert (rejected.status_code, rejected.json()["stage"]) == (200, "Rejected")
        assert (await ci.delete(MODEL + "/aliases/candidate")).status_code == 204


async def test_a_publisher_does_nothing_else_that_an_engineer_does(registry):
    async with registry.client("ci") as ci:
        assert (await ci.post(MODEL + "/versions", json=trained())).status_code == 201
        for path in (":recall", ":hold", ":reopen", ":promote"):
            refused = await ci.post(MODEL + "/versions/1" + path, json={"reason": "no"})
            assert (refused.status_code, refused.json()["code"]) == (403, "role_missing"), path
