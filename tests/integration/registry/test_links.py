"""Identities of one human being are linked over HTTP, by an admin or by the person."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.integration.registry.conftest import Registry, trained
from tests.integration.registry.test_access import ALL, events_of

pytestmark = pytest.mark.servers
WHY = "the same human being, as she stated on 3 March"


async def test_an_admin_links_and_unlinks_with_a_reason_in_both_streams(
    registry: Registry, database: Any
) -> None:
    async with registry.client("root") as root, registry.client("eva") as eva:
        linked = {"other": "ann", "reason": WHY}
        assert (await eva.put(f"{ALL}/eva/links", json=linked)).status_code == 403
        assert (await root.put(f"{ALL}/eva/links", json={"other": "ann"})).status_code == 422
        answer = await root.put(f"{ALL}/eva/links", json=linked)
        assert answer.status_code == 200, answer.text
        by_login = {"other": "octocat", "login": True, "reason": WHY}
        answer = await root.put(f"{ALL}/eva/links", json=by_login)
        shown = [(one["other"], one["login"], one["linked_by"]) for one in answer.json()["links"]]
        assert shown == [("ann", False, "root"), ("octocat", True, "root")]
        assert [one["other"] for one in (await root.get(f"{ALL}/ann")).json()["links"]] == ["eva"]
        of_ann = await root.put(f"{ALL}/eva/links", json=by_login | {"other": "\u200bANN"})
        assert (of_ann.status_code, of_ann.json()["code"]) == (409, "login_is_identity")
        new = {"subject": "Octocat", "kind": "person", "name": "Another"}
        refused = await root.post(ALL, json=new)
        assert (refused.status_code, refused.json()["code"]) == (409, "subject_is_login")
        assert await _all_links(root) == [("ann", "eva", False, WHY), ("eva", "octocat", True, WHY)]
        (first,) = (await root.get("/access/links", params={"page_size": "1"})).json()["items"]
        assert (first["subject"], first["linked_by"]) == ("ann", "root")
        assert (await eva.get("/access/links")).status_code == 403
        gone = {"other": "eva", "reason": "two people after all"}
        assert (await eva.delete(f"{ALL}/ann/links", params=gone)).status_code == 403
        assert (await root.delete(f"{ALL}/ann/links", params=gone)).status_code == 204
        assert [one["other"] for one in (await root.get(f"{ALL}/eva")).json()["links"]] == ["octocat"]
    for subject in ("eva", "ann"):
        stored = [e for e in await events_of(database, f"access-{subject}") if e["type"].endswith("inked")]
        about = [(e["type"], e["reason"], e["actor"]["subject"]) for e in stored if not e["data"]["login"]]
        assert about == [
            ("IdentityLinked", WHY, "root"),
            ("IdentityUnlinked", "two people after all", "root"),
        ]


async def _all_links(client: Any) -> list[tuple[Any, ...]]:
    found = (await client.get("/access/links")).json()["items"]
    return [tuple(one[name] for name in ("subject", "other", "login", "reason")) for one in found]


async def test_a_person_who_has_the_credentials_of_both_links_them(registry: Registry, database: Any) -> None:
    async with registry.client("eva") as eva, registry.client("ann") as ann:
        wrong = {"proof": "rg_unknown_secret", "reason": WHY}
        refused = await eva.put(f"{ALL}/eva/links", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (403, "no_proof")
        proof = {"proof": registry.world.api_keys["ann"], "reason": WHY}
        refused = await eva.put(f"{ALL}/root/links", json=proof)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_yours")
        refused = await eva.put(f"{ALL}/eva/links", json=proof | {"other": "root"})
        assert refused.json()["code"] == "no_proof"
        answer = await eva.put(f"{ALL}/eva/links", json=proof)
        assert answer.status_code == 200, answer.text
        assert [one["other"] for one in answer.json()["links"]] == ["ann"]
        assert (
            await ann.delete(f"{ALL}/eva/links", params={"other": "ann", "reason": WHY})
        ).status_code == 403
    stored = str(await events_of(database, "access-eva"))
    assert registry.world.api_keys["ann"] not in stored


async def test_a_maker_measures_nothing_independently_under_a_linked_identity(registry: Registry) -> None:
    measured = {"name": "f1", "value": 0.5, "dataset_digest": "sha256:x", "independent": True}
    async with registry.client("root") as root, registry.client("ci") as ci, registry.client("eva") as eva:
        assert (await ci.post("/models/team.churn/versions", json=trained())).status_code == 201
        path = "/models/team.churn/versions/1/evaluations"
        assert (await root.put(f"{ALL}/ci/links", json={"other": "eva", "reason": WHY})).status_code == 200
        refused = await eva.post(path, json=measured)
        assert (refused.status_code, refused.json()["code"]) == (409, "not_independent")


async def test_an_admin_unlinks_nothing_of_their_own_at_any_distance(registry: Registry) -> None:
    chain = ["root", "publisher:near", "publisher:far", "publisher:farther"]
    async with registry.client("root") as root:
        for one, other in pairwise(chain):
            made = await root.post(ALL, json={"subject": other, "kind": "publisher", "name": other})
            assert made.status_code == 201, made.text
            linked = await root.put(f"{ALL}/{one}/links", json={"other": other, "reason": WHY})
            assert linked.status_code == 200, linked.text
        for one, other in pairwise(chain):
            refused = await root.delete(f"{ALL}/{one}/links", params={"other": other, "reason": WHY})
            assert refused.status_code == 409, (one, other)
            assert refused.json()["code"] == "own_identity"
