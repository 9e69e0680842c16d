"""Descriptions, tags, notes and corrections of versions over HTTP: who may, and what is kept."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers

ONE = "/models/team.churn/versions/1"


async def registered(client: httpx.AsyncClient, model: str = "team.churn", artifact: int = 1) -> None:
    body = trained(model, artifact=artifact, run_url="http://runs/1")
    assert (await client.post(f"/models/{model}/versions", json=body)).status_code == 201


async def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_what_people_state_about_a_version_is_shown_with_what_stood_before(registry):
    async with registry.client("ci") as ci, registry.client("eva") as eva:
        await registered(ci)
        await ok(await eva.post(ONE + ":describe", json={"description": "May", "set_tags": {"data": "may"}}))
        await ok(await eva.post(ONE + ":describe", json={"set_tags": {"data": "april"}}))
        correction = {"fields": {"training.run_url": "http://runs/2"}, "reason": "wrong run"}
        shown = await ok(await eva.post(ONE + ":correct", json=correction))
        assert (shown["description"], shown["tags"]) == ("May", {"data": "april"})
        assert shown["training"]["run_url"] == "http://runs/2"
        (last,) = [c for c in shown["corrections"] if c["field"] == "training.run_url"]
        assert (last["before"], last["by"], last["reason"]) == ("http://runs/1", "eva", "wrong run")
        tags = [(c["before"], c["after"]) for c in shown["corrections"] if c["field"] == "tags"]
        assert tags == [({}, {"data": "may"}), ({"data": "may"}, {"data": "april"})]
        assert (await ok(await ci.get(ONE))) == shown
        (line,) = (await ok(await ci.get("/models/team.churn/versions")))["items"]
        assert (line["description"], line["tags"]) == ("May", {"data": "april"})


async def test_a_note_keeps_its_earlier_texts_and_its_author(registry):
    async with registry.client("ci") as ci, registry.client("ann") as ann, registry.client("eva") as eva:
        await registered(ci)
        await ok(await ci.post(ONE + "/notes", json={"text": "made by night"}), 201)
        made = await ok(await ann.post(ONE + "/notes", json={"text": "no may data"}), 201)
        assert (made["note"], made["by"], made["earlier"]) == (2, "ann", [])
        taken = await eva.put(ONE + "/notes/2", json={"text": "x"})
        assert (taken.status_code, taken.json()["code"]) == (403, "not_your_note")
        await ok(await ann.put(ONE + "/notes/2", json={"text": "no May data", "reason": "case"}))
        page = await ok(await eva.get(ONE + "/notes", params={"page_size": 1}))
        rest = await ok(
            await eva.get(ONE + "/notes", params={"page_size": 1, "page_token": page["next_page_token"]})
        )
        assert [n["text"] for n in page["items"] + rest["items"]] == ["made by night", "no May data"]
        (second,) = rest["items"]
        assert [e["text"] for e in second["earlier"]] == ["no may data"]
        assert second["corrected_at"] > second["at"]
        notes = (await ok(await eva.get(ONE)))["notes"]
        assert [(n["by"], n["text"]) for n in notes] == [("ci", "made by night"), ("ann", "no May data")]


async def test_a_publisher_remarks_on_own_versions_only(registry):
    correction = {"fields": {"training.run_url": "http://runs/2"}, "reason": "wrong run"}
    async with registry.client("ci") as ci, registry.client("night") as night:
        await registered(ci)
        for path, body, status in (
            (ONE + ":describe", {"description": "mine"}, 200),
            (ONE + ":correct", correction, 200),
            (ONE + "/notes", {"text": "mine"}, 201),
        ):
            foreign = await night.post(path, json=body)
            assert (foreign.status_code, foreign.json()["code"]) == (403, "not_your_version")
            await ok(await ci.post(path, json=body), status)


async def test_what_decisions_are_bound_to_is_refused_with_what_to_do(registry):
    async with registry.client("ci") as ci, registry.client("eva") as eva:
        await registered(ci)
        for field, instead in (
            ("training.metrics", "`regista versions evaluate`"),
            ("training.dataset.digest", "`regista publish`"),
        ):
            refused = await eva.post(ONE + ":correct", json={"fields": {field: "x"}, "reason": "r"})
            assert (refused.status_code, refused.json()["code"]) == (422, "not_correctable")
            assert instead in refused.json()["detail"]
        assert (await eva.post(ONE + ":correct", json={"fields": {}})).status_code == 422


async def test_a_change_of_what_was_not_seen_is_refused(registry):
    async with registry.client("ci") as ci, registry.client("eva") as eva:
        await registered(ci)
        seen = (await eva.get(ONE)).headers["etag"]
        await ok(await eva.post(ONE + "/notes", json={"text": "first"}), 201)
        stale = await eva.post(ONE + ":describe", json={"description": "x"}, headers={"if-match": seen})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")


async def test_a_correction_ends_the_open_promotion_that_showed_the_field(registry, senders):
    async with registry.client("ci") as ci, registry.client("eva") as eva:
        await registered(ci)
        await senders.send_passing_verdicts(await registry.version("team.churn@1"))
        await registry.version("team.churn@1", stage="Validated")
        await ok(await eva.post(ONE + ":promote", json={"reason": "better"}), 202)
        described = await ok(await eva.post(ONE + ":describe", json={"description": "x"}))
        assert [p["state"] for p in described["promotions"]] == ["open"]
        correction = {"fields": {"training.run_url": "http://runs/2"}, "reason": "wrong run"}
        corrected = await ok(await eva.post(ONE + ":correct", json=correction))
        (promotion,) = corrected["promotions"]
        assert promotion["state"] == "refused"
        assert promotion["reasons"][0].startswith("lapsed: training.run_url was corrected")
