"""A job without a stored secret publishes over HTTP and Kafka: a real issuer, the client, the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.errors import Unauthorized
from regista.job import kept
from regista.wire.keys import SigningKey, generate_signing_key
from tests.integration.registry.conftest import Registry, Senders, trained
from tests.integration.registry.test_access import events_of
from tests.issuer import HttpIssuer, running

pytestmark = pytest.mark.servers
CLAIMS = {"repository": "acme/churn", "ref": "refs/heads/main"}
STATED = {**CLAIMS, "sub": "repo:acme/churn", "actor": "octocat", "run_id": "7", "sha": "c0ffee"}
EXCHANGE = "/v1/tokens:exchange"
KINDS = "urn:ietf:params:oauth"


@dataclass
class Company:
    """A registry that trusts the jobs of acme/churn on main to act as the publisher `ci` in team."""

    registry: Registry
    issuer: HttpIssuer
    trust_id: str

    def token(self, **changed: Any) -> str:
        return self.issuer.token(**(STATED | {"jti": f"j-{id(changed)}"} | changed))

    async def exchange(self, token: str, **fields: str) -> httpx.Response:
        form = {
            "grant_type": f"{KINDS}:grant-type:token-exchange",
            "subject_token": token,
            "subject_token_type": f"{KINDS}:token-type:jwt",
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        async with httpx.AsyncClient(base_url=self.registry.url, timeout=30) as client:
            return await client.post(EXCHANGE, content=urlencode(form | fields), headers=headers)

    async def as_job(self, key: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=self.registry.url + "/v1", timeout=30) as client:
            return await client.request(method, path, headers=headers, **more)

    async def remove(self) -> None:
        async with self.registry.client("root") as root:
            gone = await root.delete(f"/trusts/{self.trust_id}", params={"reason": "it moved"})
            assert gone.status_code == 204, gone.text


@pytest.fixture
def issuer() -> Iterator[HttpIssuer]:
    with running() as one:
        yield one


@pytest.fixture
async def company(registry: Registry, issuer: HttpIssuer) -> Company:
    asked = {
        "issuer": issuer.url,
        "algorithms": ["ES256"],
        "claims": [{"name": name, "value": value} for name, value in CLAIMS.items()],
        "publisher": "ci",
        "namespaces": ["team.jobs"],
    }
    async with registry.client("root") as root:
        added = await root.post("/trusts", json=asked)
        assert added.status_code == 201, added.text
        assert (await root.post("/trusts", json=asked)).json() == added.json()
    return Company(registry, issuer, added.json()["trust_id"])


async def test_a_job_exchanges_its_token_once_for_a_key_that_ends_with_it(
    company: Company, database: Any
) -> None:
    token = company.token(jti="j-1")
    got = await company.exchange(token)
    assert (got.status_code, got.headers["cache-control"]) == (200, "no-store"), got.text
    answer = got.json()
    assert (answer["issued_token_type"], answer["token_type"]) == (
        f"{KINDS}:token-type:access_token",
        "Bearer",
    )
    assert 0 < answer["expires_in"] <= 300
    assert (answer["publisher"], answer["started_by"], answer["scope"]) == (
        "ci",
        "octocat",
        "publisher:team.jobs",
    )
    again = await company.exchange(token)
    assert (again.status_code, again.json()["error"], again.json()["code"]) == (
        400,
        "invalid_request",
        "token_used",
    )
    issued = (await events_of(database, "access-ci"))[-1]
    assert (issued["type"], issued["actor"]["on_behalf_of"]) == ("KeyIssued", "octocat")
    assert issued["data"]["job"]["claims"]["run_id"] == "7"
    assert datetime.fromisoformat(issued["data"]["expires_at"]).timestamp() - company.issuer.clock() <= 300
    assert not [one for one in (token, answer["access_token"]) if one in json.dumps(issued)]


async def test_the_key_of_a_job_publishes_in_its_namespace_and_does_nothing_else(company: Company) -> None:
    key = (await company.exchange(company.token())).json()["access_token"]
    made = await company.as_job(key, "POST", "/models/team.jobs.churn/versions", json={"draft": True})
    assert made.status_code == 201, made.text
    elsewhere = await company.as_job(key, "POST", "/models/team.churn/versions", json={"draft": True})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "role_missing")
    own_key = await company.as_job(key, "POST", "/access/identities/ci/keys", json={})
    assert (own_key.status_code, own_key.json()["code"]) == (403, "key_of_a_job")
    promoted = {"environment": "production", "reason": "now"}
    path = "/models/team.jobs.churn/versions/1:promote"
    assert (await company.as_job(key, "POST", path, json=promoted)).status_code == 403
    await company.remove()
    ended = await company.as_job(key, "GET", "/access/me")
    assert ended.status_code == 401


async def test_a_refusal_has_the_form_of_the_protocol_and_of_a_problem(company: Company) -> None:
    kinds = {
        ("grant_type", "password"): "unsupported_grant_type",
        ("audience", "x"): "invalid_target",
        ("actor_token", "x"): "invalid_request",
    }
    for (name, value), kind in kinds.items():
        refused = await company.exchange(company.token(), **{name: value})
        found = refused.json()
        assert (refused.status_code, found["error"]) == (400, kind)
        assert found["error_description"] == found["detail"]


async def test_tokens_of_other_jobs_get_no_key(company: Company) -> None:
    tokens = [
        company.token(repository="mallory/churn"),
        company.token(ref="refs/heads/main-evil"),
        company.token(aud="elsewhere"),
        company.token(iss="https://other.example"),
        company.token(exp=int(company.issuer.clock()) - 60),
        "no.to.ken",
    ]
    answers = [await company.exchange(token) for token in tokens]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(400, "token_refused")] * len(
        tokens
    )
    assert not [token for token, one in zip(tokens, answers, strict=True) if token in one.text]


async def test_a_suspended_publisher_ends_the_keys_of_its_jobs(company: Company) -> None:
    key = (await company.exchange(company.token())).json()["access_token"]
    assert (await company.as_job(key, "GET", "/access/me")).json()["roles"] == [
        {"role": "publisher", "namespace": "team.jobs", "group": ""}
    ]
    async with company.registry.client("root") as root:
        path = "/access/identities/ci:disable"
        assert (await root.post(path, json={"reason": "its repository was taken over"})).status_code == 200
    assert (await company.as_job(key, "GET", "/access/me")).status_code == 401
    refused = await company.exchange(company.token(jti="after"))
    assert refused.json()["code"] == "identity_disabled"


def in_job(company: Company, stack: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Profile:
    """Return the profile of a job that has a token and no key."""
    monkeypatch.setenv("REGISTA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("REGISTA_ID_TOKEN", company.token(jti="sdk"))
    monkeypatch.setattr(kept, "_MEMORY", {})
    return Profile(
        url=company.registry.url,
        usage_window=0,
        kafka_bootstrap=stack.kafka.bootstrap,
        kafka_user="pipeline",
        kafka_password=stack.kafka.password("pipeline"),
        kafka_security="SASL_PLAINTEXT",
    )


async def test_the_client_in_a_job_publishes_over_http_and_kafka_and_its_starter_is_a_maker(
    company: Company,
    database: Any,
    stack: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    profile = in_job(company, stack, monkeypatch, tmp_path)
    async with AsyncClient(profile) as client:
        by_http = await (await client.publish("team.jobs.one", draft=True, via="http")).wait(60)
    async with AsyncClient(profile) as client:  # as another process: the token counts once, its key is kept
        by_kafka = await (await client.publish("team.jobs.two", draft=True)).wait(60)
    for found in (by_http, by_kafka):
        registered = (await events_of(database, f"model-{found.model_id}"))[-1]
        assert (registered["data"]["contributors"], registered["data"]["started_by"]) == (["ci"], ["octocat"])
        assert registered["actor"]["subject"] == "ci"
    (file,) = (tmp_path / "jobs").glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(kept, "_MEMORY", {})
    file.unlink()
    with pytest.raises(Unauthorized, match="token_used"):
        async with AsyncClient(profile) as client:
            await client.whoami()


async def test_a_message_signed_by_a_job_counts_no_more_once_its_trust_is_removed(
    company: Company, senders: Senders
) -> None:
    made = generate_signing_key("ci")
    answer = (await company.exchange(company.token(), public_key=made.public.hex())).json()
    key = SigningKey(answer["signing_key_id"], "ci", made.private)
    first = await senders.send_trained(trained("team.jobs.kafka"), key=key)
    async with company.registry.client("ci") as ci:

        async def outcome(message_id: str) -> Any:
            found = await ci.get(f"/publications/{message_id}", params={"model": "team.jobs.kafka"})
            return found.json() if found.status_code == 200 else None

        assert (await company.registry.until(lambda: outcome(first)))["state"] != "dead_lettered"
        await company.remove()
        second = await senders.send_trained(trained("team.jobs.kafka", artifact=2), key=key)
        refused = await company.registry.until(lambda: outcome(second))
        assert refused["state"] == "dead_lettered"
