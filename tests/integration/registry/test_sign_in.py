"""People sign in at an issuer: a real one over HTTP, and the registry as a process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from shared.deciding.issuers import issuer_key
from tests.integration.registry.conftest import Registry
from tests.integration.registry.test_access import events_of
from tests.issuer import HttpIssuer, ec_key, running

pytestmark = pytest.mark.servers
GRANT = {"role": "engineer", "namespace": "team.sub"}


@dataclass
class Company:
    """A registry that trusts the issuer, whose group `leads` is admin of the namespace team."""

    registry: Registry
    issuer: HttpIssuer

    async def send(self, method: str, path: str, token: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=f"{self.registry.url}/v1", timeout=30) as client:
            return await client.request(method, path, headers=headers, **more)

    async def sign_in(self, token: str) -> dict[str, Any]:
        answer = await self.send("POST", "/sign-ins", token)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def administers(self, token: str) -> httpx.Response:
        """A command that only an admin of team may send."""
        return await self.send("PUT", "/access/identities/eva/roles", token, json=GRANT)

    async def until(self, token: str, status: int) -> dict[str, Any]:
        """Wait until the command is answered so: the view of a process is a moment old."""

        async def answered() -> Any:
            answer = await self.administers(token)
            return answer if answer.status_code == status else None

        found: dict[str, Any] = (await self.registry.until(answered)).json()
        return found


@pytest.fixture
def issuer() -> Iterator[HttpIssuer]:
    with running() as one:
        yield one


@pytest.fixture
async def company(registry: Registry, issuer: HttpIssuer) -> Company:
    async with registry.client("root") as root:
        trusted = await root.post("/issuers", json={"issuer": issuer.url, "algorithms": ["ES256"]})
        assert trusted.status_code == 201, trusted.text
        role = {"group": "leads", "role": "admin", "namespace": "team"}
        assert (await root.post(f"/issuers/{trusted.json()['key']}/groups", json=role)).status_code == 201
    return Company(registry, issuer)


async def test_a_person_signs_in_and_acts_with_the_roles_of_their_groups(
    company: Company, database: Any
) -> None:
    public = await company.send("GET", "/sign-in", "")
    scopes = ["openid", "profile"]
    options = {"issuer": company.issuer.url, "client_id": "regista-cli", "scopes": scopes}
    assert public.json() == {"issuers": [options]}
    token = company.issuer.token(groups=["leads", "choir"], name="Ann Example")
    first = await company.administers(token)
    assert (first.status_code, first.json()["code"], first.json()["sign_ins"]) == (
        401,
        "sign_in_needed",
        "/v1/sign-ins",
    )
    found = await company.sign_in(token)
    role = {"role": "admin", "namespace": "team", "group": "leads"}
    assert (found["name"], found["roles"]) == ("Ann Example", [role])
    assert (await company.administers(token)).status_code == 200
    assert await company.sign_in(token) == found
    me = (await company.send("GET", "/access/me", token)).json()
    assert (me["subject"], me["key"], me["roles"]) == (found["subject"], None, [role])
    assert me["sign_in"] == {"issuer": company.issuer.url, "until": found["until"]}
    shown = (await company.send("GET", f"/access/identities/{found['subject']}", token)).json()
    assert (shown["roles"], shown["keys"]) == ([role], [])
    stored = await events_of(database, f"access-{found['subject']}")
    assert [one["type"] for one in stored] == ["IdentityCreated", "SignedIn"]
    assert stored[1]["actor"]["method"] == f"oidc:{issuer_key(company.issuer.url)}"
    assert stored[1]["data"]["groups"] == ["leads"]
    assert not [one for one in ("Example", '"ann"', company.issuer.url) if one in json.dumps(stored)]
    granted = (await events_of(database, "access-eva"))[-1]
    assert granted["actor"]["subject"] == found["subject"]


async def test_a_group_counts_no_more_once_a_newer_token_lacks_it_or_its_role_is_gone(
    company: Company,
) -> None:
    now = int(time.time())
    old = company.issuer.token(groups=["leads"], iat=now - 20)
    subject = (await company.sign_in(old))["subject"]
    newer = company.issuer.token(iat=now - 10)
    assert (await company.administers(newer)).json()["code"] == "sign_in_needed"
    assert await company.sign_in(newer) | {"roles": []} == await company.sign_in(newer)
    assert (await company.until(old, 403))["code"] == "role_missing"
    newest = company.issuer.token(groups=["leads"], iat=now - 5)
    assert (await company.sign_in(newest))["subject"] == subject
    await company.until(newest, 200)
    role = {"group": "leads", "role": "admin", "namespace": "team"}
    async with company.registry.client("root") as root:
        path = f"/issuers/{issuer_key(company.issuer.url)}/groups"
        assert (await root.delete(path, params=role)).status_code == 204
    assert (await company.administers(newest)).status_code == 403, "the check under lock needs no time"


async def test_tokens_end_with_the_trust_and_a_disabled_person_is_out(company: Company) -> None:
    token = company.issuer.token(groups=["leads"])
    subject = (await company.sign_in(token))["subject"]
    async with company.registry.client("root") as root:
        reason = {"reason": "left"}
        assert (await root.post(f"/access/identities/{subject}:disable", json=reason)).status_code == 200
        assert (await company.administers(token)).status_code == 403
        assert (await company.until(token, 403))["code"] == "identity_disabled"
        assert (await company.send("POST", "/sign-ins", token)).json()["code"] == "identity_disabled"
        assert (await root.post(f"/access/identities/{subject}:enable", json=reason)).status_code == 200
        await company.until(token, 200)
        path = f"/issuers/{issuer_key(company.issuer.url)}"
        assert (await root.delete(path, params=reason)).status_code == 204
        assert (await company.administers(token)).status_code in {401, 403}
        assert (await company.until(token, 401))["code"] == "unauthenticated"
        listed = (await root.get("/issuers")).json()["items"]
    assert [(one["issuer"], one["trusted"]) for one in listed] == [(company.issuer.url, False)]
    assert (await company.send("GET", "/sign-in", "")).json() == {"issuers": []}


async def test_keys_rotate_without_a_restart_and_known_ones_outlive_an_outage(company: Company) -> None:
    token = company.issuer.token(groups=["leads"])
    await company.sign_in(token)
    company.issuer.stop()
    assert (await company.administers(token)).status_code == 200
    asked = company.issuer.asked.total()
    company.issuer.keys.insert(0, ec_key("second"))
    company.issuer.start()
    rotated = company.issuer.token(groups=["leads"])
    await company.until(rotated, 200)
    assert company.issuer.asked.total() - asked <= 4, "two reads at most, of two documents"
    assert (await company.administers(token)).status_code == 200


async def test_what_no_issuer_signed_is_refused(company: Company) -> None:
    issuer = company.issuer
    with running() as stranger:
        wrong = [
            stranger.token(groups=["leads"]),
            issuer.token(key=ec_key("first"), groups=["leads"]),
            issuer.token(key=ec_key("of-another")),
            issuer.token(aud="account"),
            issuer.token(exp=int(time.time()) - 600),
            "a.b.c",
            "a.b." + "c" * 20_000,
        ]
        for token in wrong:
            for method, path in (("GET", "/access/me"), ("POST", "/sign-ins")):
                answer = await company.send(method, path, token)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), token[:60]
                assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert stranger.asked.total() == 0
    by_key = await company.send("POST", "/sign-ins", company.registry.world.api_keys["root"])
    assert by_key.status_code == 401


async def test_an_issuer_is_trusted_by_an_admin_and_only_when_its_keys_can_be_read(company: Company) -> None:
    async with company.registry.client("eva") as eva, company.registry.client("root") as root:
        wanted = {"issuer": "http://127.0.0.1:1/realms/none"}
        assert (await eva.post("/issuers", json=wanted)).status_code == 403
        assert (await eva.get("/issuers")).status_code == 403
        assert (await root.post("/issuers", json=wanted)).json()["code"] == "issuer_unreadable"
        plain = {"issuer": "http://sso.acme.example"}
        assert (await root.post("/issuers", json=plain)).json()["code"] == "invalid_issuer"
        path = f"/issuers/{issuer_key(company.issuer.url)}/groups"
        role = {"group": "leads", "role": "admin", "namespace": "*"}
        assert (await eva.post(path, json=role)).status_code == 403


async def test_a_key_of_ones_own_has_the_roles_of_groups_until_a_sign_in_lacks_them(
    company: Company, database: Any
) -> None:
    now = int(time.time())
    token = company.issuer.token(groups=["leads"], iat=now - 20)
    subject = (await company.sign_in(token))["subject"]
    path = f"/access/identities/{subject}/keys"
    made = await company.send("POST", path, token, json={})
    assert made.status_code == 201, made.text
    key = made.json()
    assert key["with_groups"] is True
    me = (await company.send("GET", "/access/me", key["api_key"])).json()
    role = {"role": "admin", "namespace": "team", "group": "leads"}
    assert (me["subject"], me["key"]["key_id"], me["roles"]) == (subject, key["key_id"], [role])
    assert (await company.administers(key["api_key"])).status_code == 200
    granted = (await events_of(database, "access-eva"))[-1]
    issuer = issuer_key(company.issuer.url)
    assert granted["actor"]["method"] == f"api-key:{key['key_id']}@{issuer}"
    shown = (await company.send("GET", f"/access/identities/{subject}", token)).json()
    assert [one["with_groups"] for one in shown["keys"]] == [True]
    await company.sign_in(company.issuer.token(iat=now - 10))
    refused = await company.administers(key["api_key"])
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing"), "checked under lock"


async def test_a_key_without_groups_has_own_roles_only_and_lasts_longer(company: Company) -> None:
    token = company.issuer.token(groups=["leads"])
    subject = (await company.sign_in(token))["subject"]
    path = f"/access/identities/{subject}/keys"
    made = await company.send("POST", path, token, json={"never_expires": True, "without_groups": True})
    assert made.status_code == 201, made.text
    key = made.json()
    assert key["expires_at"] is not None
    assert key["with_groups"] is False
    me = (await company.send("GET", "/access/me", key["api_key"])).json()
    assert (me["subject"], me["key"]["key_id"], me["roles"]) == (subject, key["key_id"], [])
    assert (await company.administers(key["api_key"])).json()["code"] == "role_missing"
    other = await company.send("POST", "/access/identities/eva/keys", token, json={})
    assert other.status_code == 403
    gone = await company.send("DELETE", f"{path}/{key['key_id']}", token)
    assert gone.status_code == 204
