"""Identities over HTTP: groups, own keys, disabling, admins of a namespace, and denied attempts."""

from __future__ import annotations

import base64
import json
from typing import Any

import asyncpg
import pytest

from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers
ALL = "/access/identities"


async def events_of(database: Any, stream: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(database.owner_url)
    try:
        rows = await connection.fetch(
            "SELECT convert_from(bytes, 'UTF8') AS stored FROM log.events "
            "WHERE stream = $1 ORDER BY revision",
            stream,
        )
    finally:
        await connection.close()
    return [json.loads(row["stored"]) for row in rows]


async def grant(client: Any, subject: str, role: str, namespace: str) -> Any:
    return await client.put(f"{ALL}/{subject}/roles", json={"role": role, "namespace": namespace})


async def test_a_grant_where_no_model_is_has_a_note_with_the_nearest_namespace(registry):
    async with registry.client("root") as root, registry.client("ci") as ci:
        assert (await ci.post("/models/team.churn/versions", json=trained())).status_code == 201
        notes = {
            namespace: (await grant(root, "eve", "auditor", namespace)).json()["notes"]
            for namespace in ("team", "tem", "nowhere", "team.below", "*")
        }
    assert [len(found) for found in notes.values()] == [0, 1, 1, 1, 0]
    assert "did you mean team?" in notes["tem"][0]
    assert "did you mean" not in notes["nowhere"][0]


async def test_members_of_a_group_act_with_its_roles_and_without_it_no_more(registry):
    async with registry.client("root") as root, registry.client("eve") as eve:
        assert (await eve.get("/models?namespace=team")).status_code in {200, 403, 422}
        assert (await root.post(ALL, json={"subject": "board", "kind": "group"})).status_code == 201
        assert (await grant(root, "board", "engineer", "team")).status_code == 200
        added = await root.put(f"{ALL}/board/members", json={"member": "eve"})
        assert (added.status_code, added.json()["members"]) == (200, ["eve"])
        assert (await grant(root, "board", "auditor", "team")).status_code == 200
        own = (await eve.get(f"{ALL}/eve")).json()["roles"]
        assert {"role": "auditor", "namespace": "team", "group": "board"} in own
        assert {"role": "engineer", "namespace": "elsewhere", "group": ""} in own
        assert (await root.delete(f"{ALL}/board/members", params={"member": "eve"})).status_code == 204
        left = (await eve.get(f"{ALL}/eve")).json()["roles"]
        assert left == [{"role": "engineer", "namespace": "elsewhere", "group": ""}]


async def test_the_admin_of_a_namespace_sees_the_roles_there_and_no_others(registry):
    async with registry.client("root") as root, registry.client("eva") as eva:
        await grant(root, "eva", "admin", "team")
        await grant(root, "ann", "approver", "secret.project")
        await grant(root, "ann", "approver", "*")

        async def granted() -> Any:
            answer = await grant(eva, "ann", "engineer", "team.sub")
            return answer.json() if answer.status_code == 200 else None

        answer = await registry.until(granted)
    held = [(role["role"], role["namespace"]) for role in answer["roles"]]
    assert held == [("auditor", "team"), ("engineer", "team.sub")]
    assert (answer["keys"], answer["members"]) == (None, None)


async def test_an_identity_rotates_its_own_key_and_no_other(registry):
    async with registry.client("eva") as eva:
        caller = (await eva.get("/access/me")).json()
        assert (caller["subject"], caller["roles"]) == (
            "eva",
            [{"role": "engineer", "namespace": "team", "group": ""}],
        )
        assert caller["key"]["expires_at"] is None
        issued = (await eva.post(f"{ALL}/eva/keys", json={"never_expires": True})).json()
        assert issued["expires_at"] is not None
        assert (await eva.post(f"{ALL}/eva/keys", json={})).status_code == 409
        assert (await eva.post(f"{ALL}/ann/keys", json={})).status_code == 403
        old = caller["key"]["key_id"]
        assert (await eva.delete(f"{ALL}/eva/keys/{old}")).status_code == 204
        await registry.until(lambda: _answers(eva, 401))
    registry.world.api_keys["eva"] = issued["api_key"]
    async with registry.client("eva") as eva:
        assert (await eva.get("/access/me")).json()["key"]["key_id"] == issued["key_id"]
        keys = {k["key_id"]: k for k in (await eva.get(f"{ALL}/eva")).json()["keys"]}
    assert keys[issued["key_id"]]["issued_by"] == "eva"


async def test_a_disabled_identity_is_out_within_a_moment_and_in_again_when_enabled(registry):
    reason = {"reason": "on leave"}
    async with registry.client("root") as root, registry.client("eva") as eva:
        assert (await root.post(f"{ALL}/eva:disable", json=reason)).json()["disabled_at"]
        await registry.until(lambda: _answers(eva, 401))
        assert (await root.post(f"{ALL}/root:disable", json=reason)).json()["code"] == "own_identity"
        assert (await root.post(f"{ALL}/eva:enable", json=reason)).json()["disabled_at"] is None
        await registry.until(lambda: _answers(eva, 200))


async def _answers(client: Any, status: int) -> bool:
    return bool((await client.get("/access/me")).status_code == status)


async def test_a_role_needs_a_namespace(registry):
    async with registry.client("root") as root:
        answer = await root.put(f"{ALL}/ann/roles", json={"role": "engineer"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "namespace")


async def test_the_keys_of_services_are_public_with_their_times(registry):
    async with registry.client("root") as client:
        for path in ("/v1/keys", "/.well-known/regista-keys.json"):
            answer = await client.get(registry.url + path, headers={"authorization": ""})
            assert answer.status_code == 200
            keys = answer.json()["keys"]
            assert {key["subject"] for key in keys} == {
                f"service:{name}" for name in ("registry", "approval", "artifact", "cleanup")
            }
            of_registry = next(key for key in keys if key["subject"] == "service:registry")
            public = registry.world.keys["service:registry"].public
            assert of_registry["public_key"] == public.hex()
            assert base64.urlsafe_b64decode(of_registry["x"] + "=") == public
            assert (of_registry["valid_until"], of_registry["compromised"]) == (None, False)
            assert of_registry["valid_from"]


async def test_denied_attempts_are_events_of_the_service_counted_once_an_hour(registry, senders, database):
    await senders.send_trained(trained())
    await registry.version("team.churn@1")
    model_id = (await registry.version("team.churn@1"))["model_id"]
    promote = "/models/team.churn/versions/1:promote"
    async with registry.client("ann") as ann, registry.client("eve") as eve, registry.client("root") as root:
        for _ in range(3):
            assert (await ann.post(promote, json={})).status_code == 403
            assert (await eve.post(promote, json={})).status_code == 404
        stale = {"if-match": '"99"'}
        edit = await root.patch("/models/team.churn", json={"description": "x"}, headers=stale)
        assert edit.status_code == 412
        assert (
            await root.put(f"{ALL}/root/roles", json={"role": "override", "namespace": "*"})
        ).status_code == 409
        assert (await root.get("/models/team.nothing")).status_code == 404
        for token in ("rg_nobody_nothing", "nonsense"):
            wrong = {"authorization": f"Bearer {token}"}
            assert (await root.get("/models", headers=wrong)).status_code == 401

    async def recorded(subject: str) -> list[tuple[str, str, int, str]]:
        found = await events_of(database, f"denied-registry-{subject}")
        return [
            (e["data"]["code"], e["data"]["action"], e["data"]["count"], e["data"]["model_id"]) for e in found
        ]

    path = "POST /v1/models/{model}/versions/{version}:promote"
    await registry.until(lambda: recorded(".unknown"))
    assert await recorded("ann") == [("role_missing", path, 1, model_id)]
    assert await recorded("eve") == [("role_missing", path, 1, model_id)]
    assert await recorded(".unknown") == [("key_unknown", "", 1, "")]
    assert {code for code, *_ in await recorded("root")} == {"stale_model", "own_role"}
    assert registry.end() == 0
    assert await recorded("ann") == [("role_missing", path, 1, model_id), ("role_missing", path, 2, model_id)]
    assert sum(count for _, _, count, _ in await recorded(".unknown")) == 2
    (of_ann, _) = await events_of(database, "denied-registry-ann")
    assert of_ann["actor"]["subject"] == "ann"
    assert of_ann["data"]["target"] == {"model": "team.churn", "version": "1"}


async def test_the_log_keeps_no_name_that_a_denied_caller_typed_and_that_is_not_known(registry, database):
    async with registry.client("ann") as ann:
        role = {"role": "engineer", "namespace": "team"}
        for subject in ("grace.hopper", "eva"):
            refused = await ann.put(f"/access/identities/{subject}/roles", json=role)
            assert refused.status_code == 403

    async def recorded() -> list[Any]:
        return await events_of(database, "denied-registry-ann")

    await registry.until(recorded)
    assert registry.end() == 0
    found = await recorded()
    assert "grace" not in str(found)
    assert found[0]["data"]["target"]["subject"].startswith("sha256:")


async def test_the_log_keeps_names_that_it_has_and_a_digest_of_others(registry, database):
    async with registry.client("ci") as ci:
        made = await ci.post("/models/team.churn/versions", json=trained())
        assert made.status_code == 201
        await ci.put("/models/team.churn/aliases/candidate", json={"number": 1})
    async with registry.client("ann") as ann:
        rollouts, aliases = "/models/team.churn/rollouts", "/models/team.churn/aliases"
        for method, path, body in (
            ("POST", f"{rollouts}/production:stop", {"reason": "x"}),
            ("PUT", f"{aliases}/candidate", {"number": 1}),
            ("POST", "/models/team.churn/versions/@production:reject", {"reason": "x"}),
            ("POST", f"{rollouts}/hunter2:rollback", {"reason": "x"}),
            ("DELETE", "/access/identities/eva/roles?role=engineer&namespace=team", None),
        ):
            refused = await ann.request(method, path, json=body)
            assert refused.status_code in {403, 404}, path
        assert (await ann.delete(f"{aliases}/hunter2")).status_code == 403
    assert registry.end() == 0
    found = await events_of(database, "denied-registry-ann")
    targets = [event["data"]["target"] for event in found]
    assert {"model": "team.churn", "environment": "production"} in targets
    assert {"model": "team.churn", "alias": "candidate"} in targets
    assert any("'engineer'" in e["data"]["detail"] or "'team'" in e["data"]["detail"] for e in found)
    assert "hunter2" not in str(found)
    assert sum("sha256:" in str(target) for target in targets) == 2


async def test_a_key_that_ended_is_denied_in_the_name_of_its_owner(registry, database):
    async with registry.client("root") as root, registry.client("eva") as eva:
        key_id = (await eva.get("/access/me")).json()["key"]["key_id"]
        await root.delete(f"{ALL}/eva/keys/{key_id}")
        await registry.until(lambda: _answers(eva, 401))

        async def recorded() -> Any:
            return await events_of(database, "denied-registry-eva")

        (event,) = await registry.until(recorded)
    assert (event["data"]["code"], event["actor"]["method"]) == ("key_ended", f"api-key:{key_id}")


async def test_the_day_of_the_last_use_is_stored_when_the_process_ends(registry, database):
    async with registry.client("eva") as eva:
        key_id = (await eva.get("/access/me")).json()["key"]["key_id"]
    assert registry.end() == 0
    connection = await asyncpg.connect(database.owner_url)
    try:
        rows = await connection.fetch(
            "SELECT service, day = (now() AT TIME ZONE 'UTC')::date AS today FROM directory.key_use "
            "WHERE key_id = $1",
            key_id,
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [("regista_registry", True)]
