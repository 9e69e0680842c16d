"""Searches of versions and models over HTTP: each condition, pages, and who sees what."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared.http.routes import page_token
from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers

MAY = {"name": "may", "digest": "sha256:m"}


def measured(auc: float, **more: Any) -> dict[str, Any]:
    metric = {"name": "auc", "value": auc, "dataset_digest": "sha256:t", "dataset_name": "test"}
    return {"metrics": [metric | {"primary": True}]} | more


async def publish(client: httpx.AsyncClient, model: str, artifact: int, **training: Any) -> None:
    body = trained(model, artifact=artifact, **training)
    answer = await client.post(f"/models/{model}/versions", json=body)
    assert answer.status_code == 201, answer.text


async def found(client: httpx.AsyncClient, path: str = "/versions:search", **query: Any) -> list[str]:
    """Every item of all pages of two, as model@number."""
    names, token = [], ""
    while True:
        answer = await client.get(path, params=query | {"page_size": 2, "page_token": token})
        assert answer.status_code == 200, answer.text
        names += [f"{item['model']}@{item['number']}" for item in answer.json()["items"]]
        token = answer.json()["next_page_token"]
        if not token:
            return names


@pytest.fixture
async def filled(registry):
    """Three versions of team.churn, one of team.spam, and one of a foreign model."""
    async with registry.client("ci") as ci, registry.client("stranger") as stranger:
        await publish(ci, "team.churn", 1, **measured(0.8))
        await publish(ci, "team.churn", 2, **measured(0.91, creator="ann", dataset=MAY))
        await publish(ci, "team.spam", 3, **measured(0.95, dataset=MAY))
        await publish(ci, "team.churn", 4, **measured(0.85))
        await publish(stranger, "elsewhere.secret", 5, **measured(0.99, creator="ann"))
        for version in ("/models/team.churn/versions/1", "/models/team.spam/versions/1"):
            tags = {"set_tags": {"data": "april", "kept": ""}}
            assert (await ci.post(version + ":describe", json=tags)).status_code == 200
        secret = "/models/elsewhere.secret/versions/1:describe"
        assert (await stranger.post(secret, json={"set_tags": {"data": "april"}})).status_code == 200
    return registry


async def test_each_condition_finds_what_the_caller_may_read(filled):
    async with filled.client("eva") as eva:
        assert await found(eva) == ["team.churn@3", "team.spam@1", "team.churn@2", "team.churn@1"]
        assert await found(eva, tag="data=april") == ["team.spam@1", "team.churn@1"]
        assert await found(eva, tag=["data=april", "kept"]) == ["team.spam@1", "team.churn@1"]
        assert await found(eva, tag=["data=april", "lost"]) == []
        assert await found(eva, metric="auc>0.9") == ["team.spam@1", "team.churn@2"]
        assert await found(eva, metric=["auc>0.9", "auc<=0.91"]) == ["team.churn@2"]
        assert await found(eva, metric="f1>0") == []
        assert await found(eva, created_by="ann") == ["team.churn@2"]
        assert await found(eva, dataset="may") == ["team.spam@1", "team.churn@2"]
        assert await found(eva, dataset="sha256:m", created_by="ci") == ["team.spam@1"]
        assert await found(eva, stage="Staging", tag="kept") == ["team.spam@1", "team.churn@1"]
        assert await found(eva, until="2020-01-01") == []
        assert len(await found(eva, since="2020-01-01")) == 4
        churn = "/models/team.churn/versions"
        assert await found(eva, churn, metric="auc>0.84") == ["team.churn@3", "team.churn@2"]
        assert await found(eva, churn, tag="data=april") == ["team.churn@1"]
        assert await found(eva, churn, since="2020-01-01", until="2020-01-02") == []
        assert await found(eva, churn, since="2020-01-01") == ["team.churn@3", "team.churn@2", "team.churn@1"]


async def test_a_caller_who_reads_everything_finds_everything_and_one_without_a_role_nothing(filled):
    async with filled.client("root") as root, filled.client("service:artifact") as service:
        assert await found(root, metric="auc>0.94") == ["elsewhere.secret@1", "team.spam@1"]
        assert len(await found(root)) == 5
        assert (await service.get("/versions:search")).status_code == 403


async def test_a_list_shows_the_primary_metric_as_it_counts(filled):
    on_may = {"name": "auc", "value": 0.7, "dataset_digest": "sha256:may", "dataset_name": "may"}
    async with filled.client("ann") as ann, filled.client("eva") as eva:
        version = "/models/team.churn/versions/1"
        answer = await ann.post(version + "/evaluations", json=on_may | {"independent": True})
        assert answer.status_code == 200, answer.text
        listed = (await eva.get("/models/team.churn/versions")).json()["items"]
        best = {item["number"]: item["primary_metric"] for item in listed}
        assert best[1] == on_may | {"independent": True, "higher_is_better": True}
        assert (best[2]["value"], best[2]["dataset_name"]) == (0.91, "test")
        assert await found(eva, "/models/team.churn/versions", metric="auc<0.75") == ["team.churn@1"]


async def test_a_condition_that_cannot_be_read_is_refused_with_an_example(filled):
    async with filled.client("eva") as eva:
        for query, code in (
            ({"metric": "auc"}, "invalid_metric_condition"),
            ({"tag": "=x"}, "invalid_tag"),
            ({"since": "yesterday"}, "invalid_query"),
            ({"stage": "prod"}, "invalid_query"),
            ({"page_token": "x"}, "invalid_page_token"),
            ({"page_token": page_token("2026-03-01T12:00:00", "m", 1)}, "invalid_page_token"),
        ):
            answer = await eva.get("/versions:search", params=query)
            assert answer.status_code == 422, answer.text
            assert answer.json()["code"] == code


async def test_models_are_found_by_owner_and_tag(filled):
    async with filled.client("eva") as eva, filled.client("ci") as ci:
        made = await ci.post("/models", json={"name": "team.new", "owner": "team:risk", "tags": {"a": "b"}})
        assert made.status_code == 201, made.text

        async def names(**query: Any) -> list[str]:
            return [m["model"] for m in (await eva.get("/models", params=query)).json()["items"]]

        assert await names(tag="a=b", owner="team:risk") == ["team.new"]
        assert await names(tag="a") == ["team.new"]
        assert await names(tag="a=c") == []
        assert await names(search="chu") == ["team.churn"]
        assert await names(kind="model", tier="medium") == ["team.churn", "team.new", "team.spam"]


async def test_versions_of_several_models_are_compared_on_the_same_data(filled):
    async with filled.client("eva") as eva, filled.client("ann") as ann:
        independent = {"name": "auc", "value": 0.7, "dataset_digest": "sha256:t", "independent": True}
        recorded = await ann.post("/models/team.churn/versions/1/evaluations", json=independent)
        assert recorded.status_code == 200, recorded.text
        wanted = ["team.churn@1", "team.churn@1.1.0", "team.spam@latest"]
        answer = await eva.get("/compare", params={"version": wanted})
        assert answer.status_code == 200, answer.text
        versions, rows = answer.json()["versions"], answer.json()["rows"]
        assert [(v["model"], v["number"]) for v in versions] == [
            ("team.churn", 1),
            ("team.churn", 2),
            ("team.spam", 1),
        ]
        (auc,) = [row for row in rows if row["part"] == "metrics"]
        assert (auc["name"], auc["on"], auc["values"], auc["best"]) == ("auc", "test", [0.7, 0.91, 0.95], [2])
        assert [r["values"] for r in rows if (r["part"], r["name"]) == ("data", "name")] == [
            ["people", "may", "may"]
        ]
        assert [r["values"] for r in rows if r["part"] == "size"] == [[3, 3, 3]]


async def test_a_comparison_names_what_it_cannot_read(filled):
    async with filled.client("eva") as eva:
        for versions, status, code in (
            (["team.churn@1", "elsewhere.secret@1"], 404, "unknown_model"),
            (["team.churn@1", "team.churn@9"], 404, "unknown_version"),
            (["team.churn@1", "team.churn"], 422, "no_reference"),
            (["team.churn@1"], 422, "invalid_query"),
        ):
            answer = await eva.get("/compare", params={"version": versions})
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
