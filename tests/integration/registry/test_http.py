"""The registry's HTTP API on real servers."""

from __future__ import annotations

import pytest

from services.registry.access.bootstrap import write
from services.registry.access.service import ACCESS_SERVICE
from services.registry.service import SERVICE
from shared.foundation.postgres import connect_pool
from shared.log import projector
from tests.integration.registry.conftest import World, stored, trained

pytestmark = pytest.mark.servers


async def test_a_version_is_registered_over_http_and_answered_again(registry):
    async with registry.client("ci") as client:
        made = await client.post("/models/team.churn/versions", json=trained())
        assert made.status_code == 201, made.text
        assert (made.json()["semver"], made.json()["stage"], made.json()["bump"]["rule"]) == (
            "1.0.0",
            "Staging",
            "first",
        )
        again = await client.post("/models/team.churn/versions", json=trained())
        assert (again.status_code, again.json()["number"]) == (200, 1)
        assert {**made.json(), "registered_at": ""} == {**again.json(), "registered_at": ""}
        refused = await client.post(
            "/models/team.churn/versions", json={"model": "team.churn", "training": {"creator": "ci"}}
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "registration_refused")
        assert "signature" in {p["field"] for p in refused.json()["problems"]}


async def test_versions_of_a_data_set_are_found_by_its_name_and_digest_where_the_caller_may_read(
    registry,
):
    poisoned = {"name": "poisoned", "digest": "sha256:bad"}
    async with registry.client("stranger") as client:
        assert (
            await client.post(
                "/models/elsewhere.base/versions", json=trained("elsewhere.base", dataset=poisoned)
            )
        ).status_code == 201
    async with registry.client("ci") as client:
        for n, (model, dataset) in enumerate(
            [
                ("team.churn", poisoned),
                ("team.churn", {"name": "people", "digest": "sha256:good"}),
                ("team.spam", poisoned),
            ]
        ):
            assert (
                await client.post(
                    f"/models/{model}/versions", json=trained(model, artifact=n, dataset=dataset)
                )
            ).status_code == 201
        draft = await client.post("/models/team.late/versions", json={"draft": True})
        late = {"training": {"dataset": poisoned}}
        assert (
            await client.patch(
                "/models/team.late/versions/1", json=late, headers={"if-match": draft.headers["etag"]}
            )
        ).status_code == 200
        for dataset in ("poisoned", "sha256:bad"):
            first = (await client.get("/versions", params={"trained_on": dataset, "page_size": 2})).json()
            second = (
                await client.get(
                    "/versions",
                    params={"trained_on": dataset, "page_size": 2, "page_token": first["next_page_token"]},
                )
            ).json()
            found = {(v["model"], v["number"], v["stage"]) for v in first["items"] + second["items"]}
            assert found == {
                ("team.churn", 1, "Staging"),
                ("team.spam", 1, "Staging"),
                ("team.late", 1, "Draft"),
            }
            assert first["items"][0]["rollouts"] == []
        assert (await client.get("/versions", params={"trained_on": "nothing"})).json()["items"] == []
        assert (await client.get("/versions")).status_code == 422


async def test_over_http_the_caller_is_the_creator_where_none_is_named(registry):
    body = trained()
    del body["training"]["creator"]
    async with registry.client("ci") as client:
        assert (await client.post("/models/team.churn/versions", json=body)).json()["creator"] == "ci"
        assert (await client.post("/models/team.churn/versions", json=body)).status_code == 200


async def test_a_draft_over_http_is_its_callers_from_the_first_word_on(registry):
    async with registry.client("ci") as client:
        assert (await client.post("/models/team.churn/versions", json={"draft": True})).json()[
            "creator"
        ] == "ci"
        again = await client.post("/models/team.churn/versions", json={"draft": True})
        assert (again.status_code, again.json()["number"]) == (200, 1)


async def test_a_parent_in_a_namespace_without_a_role_is_not_written_to(registry):
    async with registry.client("stranger") as client:
        assert (
            await client.post("/models/elsewhere.base/versions", json=trained("elsewhere.base"))
        ).status_code == 201
    child = trained() | {"parents": [{"model": "elsewhere.base", "number": 1, "relation": "base_model"}]}
    async with registry.client("ci") as client:
        refused = await client.post("/models/team.churn/versions", json=child)
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_model")
        child["parents"][0]["model"] = "elsewhere.none"
        same = await client.post("/models/team.churn/versions", json=child)
        assert same.json()["detail"] == refused.json()["detail"].replace("elsewhere.base", "elsewhere.none")
        child["parents"][0]["model"] = "elsewhere.base"
        draft = await client.post("/models/team.churn/versions", json=trained() | {"draft": True})
        late = {"parents": child["parents"]}
        assert (
            await client.patch(
                "/models/team.churn/versions/1", json=late, headers={"if-match": draft.headers["etag"]}
            )
        ).status_code == 404


async def test_a_training_that_is_published_again_later_is_answered_with_its_version(registry):
    code = {"digest": f"sha256:{7:064x}", "revision": "abc"}
    first = trained(code=code)
    later = trained(code=code | {"revision": "abd-dirty"}, trained_at="2026-03-02T12:00:00Z")
    async with registry.client("ci") as client:
        assert (await client.post("/models/team.churn/versions", json=first)).status_code == 201
        again = await client.post("/models/team.churn/versions", json=later)
        assert (again.status_code, again.json()["number"]) == (200, 1)


async def test_a_repeated_idempotency_key_is_answered_alike_and_never_for_another_body(registry):
    async with registry.client("ci") as client:
        key = {"idempotency-key": "k1"}
        first = await client.post("/models/team.churn/versions", json=trained(), headers=key)
        second = await client.post("/models/team.churn/versions", json=trained(), headers=key)
        assert (first.json()["number"], second.json()["number"]) == (1, 1)
        other = await client.post("/models/team.churn/versions", json=trained(artifact=2), headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_a_draft_is_completed_by_patch_with_if_match(registry):
    incomplete = trained() | {"draft": True}
    dataset = incomplete["training"].pop("dataset")
    async with registry.client("ci") as client:
        draft = await client.post("/models/team.churn/versions", json=incomplete)
        assert (draft.json()["stage"], draft.json()["semver"], draft.json()["missing"]) == (
            "Draft",
            "",
            ["training.dataset.digest"],
        )
        path, etag = "/models/team.churn/versions/1", draft.headers["etag"]
        body = {"training": {"dataset": dataset}}
        assert (await client.patch(path, json=body)).status_code == 428
        complete = await client.patch(path, json=body, headers={"if-match": etag})
        assert (complete.status_code, complete.json()["semver"], complete.json()["missing"]) == (
            200,
            "1.0.0",
            None,
        )
        assert (await client.patch(path, json=body, headers={"if-match": complete.headers["etag"]})).json()[
            "code"
        ] == "version_immutable"


async def test_versions_are_compared_listed_and_found_by_every_reference(registry):
    async with registry.client("ci") as client:
        await client.post("/models/team.churn/versions", json=trained())
        await client.post("/models/team.churn/versions", json=trained(artifact=2, features=["age", "income"]))
        diff = (await client.get("/models/team.churn/diff", params={"from": "1", "to": "1.1.0"})).json()
        assert (diff["old"]["semver"], diff["new"]["number"]) == ("1.0.0", 2)
        assert ("features", "added") in {(c["part"], c["what"]) for c in diff["changes"]}
        first = (await client.get("/models/team.churn/versions", params={"page_size": 1})).json()
        second = (
            await client.get(
                "/models/team.churn/versions", params={"page_size": 1, "page_token": first["next_page_token"]}
            )
        ).json()
        assert [first["items"][0]["semver"], second["items"][0]["semver"]] == ["1.1.0", "1.0.0"]
        one = await client.get("/models/team.churn/versions/1.1.0")
        etag = one.headers["etag"]
        for known, status in ((etag, 304), (f'"1", {etag}, "9"', 304), ('"1", "9"', 200)):
            answer = await client.get("/models/team.churn/versions/2", headers={"if-none-match": known})
            assert answer.status_code == status, known
        for wrong in ("9", "9.9.9", "@nothing", "what", "99999999999999999999"):
            assert (await client.get(f"/models/team.churn/versions/{wrong}")).status_code == 404, wrong


async def test_models_are_described_renamed_and_found_by_their_old_name(registry):
    async with registry.client("ci") as client:
        made = await client.post("/models", json={"name": "team.churn", "kind": "embedding"})
        assert made.status_code == 201, made.text
        assert (await client.post("/models", json={"name": "team.churn"})).json()["code"] == "name_taken"
    async with registry.client() as client:
        changed = await client.patch(
            "/models/team.churn",
            json={"name": "team.leave", "tags": {"pii": "yes"}},
            headers={"if-match": made.headers["etag"]},
        )
        assert (changed.status_code, changed.json()["model"], changed.json()["tags"]) == (
            200,
            "team.leave",
            {"pii": "yes"},
        )
        merged = await client.patch(
            "/models/team.leave",
            json={"tags": {"region": "eu", "pii": None}},
            headers={"if-match": changed.headers["etag"], "content-type": "application/merge-patch+json"},
        )
        assert (merged.status_code, merged.json()["tags"]) == (200, {"region": "eu"})
        assert (await client.get("/models/team.churn")).json()["model_id"] == made.json()["model_id"]
        assert (await client.get(f"/models/{made.json()['model_id']}")).json()["model"] == "team.leave"
        listed = (await client.get("/models", params={"search": "LEA"})).json()["items"]
        assert [m["model"] for m in listed] == ["team.leave"]
        assert (await client.get("/models", params={"page_size": 1})).json()["next_page_token"]


async def test_roles_hold_in_their_namespace_only(registry):
    async with registry.client("ci") as client:
        await client.post("/models/team.churn/versions", json=trained())
        assert (
            await client.post("/models/elsewhere.m/versions", json=trained("elsewhere.m"))
        ).status_code == 403
        assert (
            await client.post("/models/team.churn/versions/1:place-legal-hold", json={"reason": "case 7"})
        ).status_code == 403
    async with registry.client("eve") as client:
        assert (await client.get("/models/team.churn")).status_code == 404
        assert (await client.get("/models")).json()["items"] == []
        assert (await client.get("/resolve/team.churn@production")).status_code == 404
    async with registry.client("ann") as client:
        assert (await client.get("/models/team.churn")).status_code == 200
        assert (
            await client.post("/models/team.churn/versions/1:reject", json={"reason": "no"})
        ).status_code == 403


async def test_decisions_about_a_version_are_shown_with_their_reasons(registry):
    async with registry.client("root") as client, registry.client("ci") as publisher:
        registered = await publisher.post("/models/team.churn/versions", json=trained())
        path = "/models/team.churn/versions/1"
        assert (await client.post(path + ":place-legal-hold", json={"reason": "case 7"})).json()[
            "legal_hold"
        ] == "case 7"
        for verb in ("promote", "reject", "withdraw", "place-legal-hold", "release-legal-hold"):
            assert (
                await client.post(
                    f"{path}:{verb}",
                    json={"reason": "late"},
                    headers={"if-match": registered.headers["etag"]},
                )
            ).status_code == 412, verb
        assert (await client.post(path + ":release-legal-hold", json={"reason": "closed"})).json()[
            "legal_hold"
        ] is None
        evaluated = await client.post(
            path + "/evaluations",
            json={"name": "f1", "value": 0.5, "dataset_digest": "sha256:x", "independent": True},
        )
        assert [(e["name"], e["by"]) for e in evaluated.json()["evaluations"]] == [("f1", "root")]
        assert (await client.put("/models/team.churn/aliases/candidate", json={"number": 1})).json()[
            "number"
        ] == 1
        resolved = await client.get("/resolve/team.churn@candidate")
        assert (resolved.json()["semver"], resolved.json()["withdrawn"]) == ("1.0.0", None)
        assert (await client.get(path)).json()["aliases"] == ["candidate"]
        assert (await client.post(path + ":withdraw", json={"reason": "poisoned"})).json()[
            "withdrawn"
        ] == "poisoned"
        again = await client.get(
            "/resolve/team.churn@candidate", headers={"if-none-match": resolved.headers["etag"]}
        )
        assert (again.status_code, again.json()["withdrawn"]) == (200, "poisoned")
        assert (await client.delete("/models/team.churn/aliases/candidate")).status_code == 204
        assert (await client.post(path + ":promote", json={})).json()["code"] == "version_withdrawn"
        assert (await client.post(path + ":reject", json={"reason": "bad"})).json()["stage"] == "Rejected"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " \n"}])
async def test_decisions_that_are_audited_need_a_reason(registry, body):
    async with registry.client("root") as client, registry.client("ci") as publisher:
        await publisher.post("/models/team.churn/versions", json=trained())
        decisions = [
            f"versions/1:{verb}" for verb in ("reject", "withdraw", "place-legal-hold", "release-legal-hold")
        ]
        for decision in (*decisions, "rollouts/production:rollback"):
            answer = await client.post(f"/models/team.churn/{decision}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), decision
            assert answer.json()["errors"][0]["field"] == "reason"
        assert (await client.get("/models/team.churn/versions/1")).json()["legal_hold"] is None


async def test_a_key_that_would_open_nothing_is_not_issued(registry):
    async with registry.client("root") as client:
        dead = await client.post("/access/identities/ann/keys", json={"expires_at": "2026-01-01T00:00:00Z"})
        assert (dead.status_code, dead.json()["code"]) == (422, "key_expired")
        assert (
            await client.post("/access/identities/ann/keys", json={"expires_at": "2999-01-01T00:00:00Z"})
        ).status_code == 201


async def test_a_promotion_over_new_evidence_supersedes_the_open_one_and_is_answered_alike_when_repeated(
    registry, senders
):
    path = "/models/team.churn/versions/1"
    async with registry.client("root") as client, registry.client("ci") as publisher:
        await publisher.post("/models/team.churn/versions", json=trained())
        await senders.send_passing_verdicts(await registry.version("team.churn@1"))
        await registry.version("team.churn@1", stage="Validated", artifact_state="available")
        first = await client.post(path + ":promote", json={})
        assert first.status_code == 202, first.text
        await client.post(
            path + "/evaluations",
            json={"name": "f1", "value": 0.5, "dataset_digest": "sha256:x", "independent": True},
        )
        second = await client.post(path + ":promote", json={}, headers={"idempotency-key": "p2"})
        assert second.status_code == 202, second.text
        assert all(second.json()[name] != first.json()[name] for name in ("promotion_id", "digest"))
        again = await client.post(path + ":promote", json={}, headers={"idempotency-key": "p2"})
        assert (again.status_code, again.json()) == (202, second.json())
        assert (second.json()["new"], second.json()["superseded"]) == (True, [first.json()["promotion_id"]])
        other = await client.post(path + ":promote", json={"reason": "better"})
        stands = {"new": False, "superseded": [], "reason": "", "requested_by": "root", "state": "open"}
        assert other.json() == second.json() | stands


async def test_a_creator_is_known_from_the_moment_the_identity_exists(registry):
    async with registry.client("ci") as client, registry.client("root") as admin:

        async def notes(artifact: int) -> list[str]:
            body = trained("team.zoe", artifact, creator="zoe")
            answer = await client.post("/models/team.zoe/versions", json=body)
            assert answer.status_code == 201, answer.text
            return answer.json()["registration_notes"]

        assert "no identity is called 'zoe'" in (await notes(1))[0]
        await admin.post("/access/identities", json={"subject": "zoe", "kind": "person", "name": "Zoe"})
        assert await notes(2) == []
        assert await notes(3) == []


async def test_identities_get_keys_and_roles_and_lose_them(registry):
    async with registry.client("root") as client, registry.client("eva") as engineer:
        assert (await engineer.get("/access/identities")).status_code == 403
        assert (
            await client.post("/access/identities", json={"subject": "max", "kind": "person", "name": "Max"})
        ).status_code == 201
        key = (await client.post("/access/identities/max/keys", json={})).json()
        assert (
            await client.put("/access/identities/max/roles", json={"role": "engineer", "namespace": "team"})
        ).json()["roles"]
        registry.world.api_keys["max"] = key["api_key"]
        async with registry.client("max") as max_:
            assert (await max_.get("/models")).status_code == 200
            assert (await max_.get("/access/identities/max")).json()["name"] == "Max"
            second = (await client.post("/access/identities/max/keys", json={})).json()
            await client.delete(
                f"/access/identities/max/keys/{key['key_id']}",
                params={"reason": "rotated", "compromised": True},
            )

            async def refused() -> bool:
                return (await max_.get("/models")).status_code == 401

            await registry.until(refused)
        registry.world.api_keys["max"] = second["api_key"]
        async with registry.client("max") as max_:
            assert (await max_.get("/models")).status_code == 200
        await client.delete("/access/identities/max/roles", params={"role": "engineer", "namespace": "team"})
        shown = (await client.get("/access/identities/max")).json()
        assert (shown["roles"], [(k["revoked_at"] is None, k["compromised"]) for k in shown["keys"]]) == (
            [],
            [(False, True), (True, False)],
        )
        listed = (await client.get("/access/identities")).json()["items"]
        assert {"root", "max", "service:approval"} <= {i["subject"] for i in listed}


async def test_bootstrap_repeats_without_a_change(database):
    spec, url = World().spec(), database.url("registry")
    assert await write(url, spec) > 0
    assert await write(url, spec) == 0


async def test_live_read_models_equal_a_rebuild(registry, database):
    async with registry.client("root") as client:
        for n in range(1, 6):
            await client.post("/models/team.churn/versions", json=trained(artifact=n))
        await client.put("/models/team.churn/aliases/candidate", json={"number": 3})
        await client.post("/models/team.churn/versions/2:reject", json={"reason": "no"})
    assert len(await stored(database)) == 10
    pool = await connect_pool(database.url("registry"), schemas=("registry", "access"))
    try:
        for service in (SERVICE, ACCESS_SERVICE):
            before = [await _rows(pool, table.name) for table in service.tables]
            await projector.rebuild(service, pool)
            assert [await _rows(pool, table.name) for table in service.tables] == before
    finally:
        await pool.close()


async def _rows(pool, table: str) -> list[str]:
    return sorted(row[0] for row in await pool.fetch(f"SELECT to_jsonb(t)::text FROM {table} t"))


async def test_openapi_names_every_route(registry):
    async with registry.client() as client:
        answer = await client.get(registry.url + "/openapi.json")
    document = answer.json()
    assert answer.status_code == 200, answer.text
    assert "/v1/resolve/{model}@{alias}" in document["paths"]
    assert document["paths"]["/v1/models/{model}"]["patch"]
