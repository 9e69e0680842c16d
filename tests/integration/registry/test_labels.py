"""Registering and describing versions as MLflow's clients do: they see the model, and get what they see."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.servers

MODEL = "/models/team.churn"
DRAFT: dict[str, Any] = {"draft": True, "external": {"uri": "s3://models/1", "run_id": "r"}}


@pytest.fixture
async def client(registry):
    """A publisher's client, and the model team.churn."""
    async with registry.client("ci") as client:
        assert (await client.post("/models", json={"name": "team.churn"})).status_code == 201
        yield client


async def test_what_is_registered_and_described_is_answered_as_mlflows_clients_see_it(client):
    keyed = {"idempotency-key": "one"}
    made, again = [await client.post(MODEL + "/mlflow/versions", json=DRAFT, headers=keyed) for _ in range(2)]
    assert (made.status_code, again.json()) == (201, made.json())
    assert (made.json()["number"], made.json()["label"]) == (1, "None")
    assert made.json()["external"]["uri"] == "s3://models/1"
    path = MODEL + "/versions/1/mlflow"
    described = await client.post(path + ":describe", json={"set_tags": {"a": "b"}, "description": "new"})
    assert (described.json()["tags"], described.json()["description"]) == ({"a": "b"}, "new")
    assert (await client.get(path)).json() == described.json()


async def test_what_is_hidden_renamed_or_unknown_is_neither_registered_nor_described(client, registry):
    async def refused(model: str, body: dict[str, Any] = DRAFT) -> list[str]:
        answers = [
            await client.post(f"/models/{model}/mlflow/versions", json=body),
            await client.post(f"/models/{model}/versions/1/mlflow:describe", json={"set_tags": {"a": "b"}}),
        ]
        return [f"{answer.status_code} {answer.json()['code']}" for answer in answers]

    assert await refused("team.churn", {"draft": True}) == ["422 not_external", "404 unknown_version"]
    assert await refused("team.none") == ["404 unknown_model", "404 unknown_model"]
    assert (await client.post(MODEL + "/mlflow/versions", json=DRAFT)).status_code == 201
    async with registry.client("root") as root:
        mode = {"mode": "labels", "reason": "the team comes over"}
        assert (await root.put("/mlflow/modes/team", json=mode)).status_code == 200
        renamed = await root.patch(MODEL, json={"name": "team.leaving"}, headers={"if-match": "*"})
        assert renamed.status_code == 200
        assert await refused("team.churn") == ["404 not_shown", "404 not_shown"]
        hidden = await root.post("/models/team.leaving/mlflow", json={"hidden": True, "reason": "deleted"})
        assert hidden.status_code == 200
    assert await refused("team.leaving") == ["404 not_shown", "404 not_shown"]
    shown = (await client.get("/models/team.leaving/versions/1/mlflow")).json()
    assert (shown["hidden"], shown["tags"]) == (True, None)


async def test_a_search_answers_each_change_of_a_version_to_every_caller(client, registry):
    async with registry.client("root") as root:
        for _ in range(2):
            assert (await client.post(MODEL + "/mlflow/versions", json=DRAFT)).status_code == 201
        version, labels = MODEL + "/versions/1", {"mode": "labels", "reason": "they come over"}
        changes: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", version + "/mlflow:describe", {"set_tags": {"a": "b"}}),
            ("PUT", "/mlflow/modes/team", labels),
            ("PUT", MODEL + "/mlflow/aliases/best", {"number": 1}),
            ("PUT", MODEL + "/mlflow/aliases/best", {"number": 2}),
            ("POST", version + "/mlflow", {"stage": "Production"}),
            ("PATCH", MODEL, {"name": "team.leaving"}),
            ("POST", version + "/mlflow", {"hidden": True, "reason": "deleted"}),
        ]
        before = b""
        for method, path, body in changes:
            headers = {"if-match": "*"} if method == "PATCH" else {}
            changed = await root.request(method, path, json=body, headers=headers)
            assert changed.is_success, changed.text
            answers = [await one.post("/mlflow/versions:search", json={}) for one in (root, client, root)]
            assert {answer.content for answer in answers} == {answers[0].content}
            assert answers[0].content != before
            before = answers[0].content
            for found in answers[0].json()["items"]:
                one = await root.get(f"{MODEL}/versions/{found['number']}/mlflow")
                assert found == one.json()
        assert [found["number"] for found in answers[0].json()["items"]] == [2]
