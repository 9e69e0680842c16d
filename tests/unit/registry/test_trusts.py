"""Trusts in jobs: which are refused, whose tokens fit them, and what the key of a job may do."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from regista.wire.keys import generate_signing_key
from services.registry.access.domain.commands import CreateIdentity, DisableIdentity, GrantRole, IssueKey
from services.registry.access.domain.trusts import (
    MOST_TRUSTS,
    AddTrust,
    ExchangeToken,
    RemoveTrust,
    decide_trust,
)
from services.registry.access.job_tokens import Offered, offered, recorded, starter_of
from shared.deciding.access import AccessState, IdentityCreated, KeyIssued, check, evolve_access, permits
from shared.deciding.acting import acting
from shared.deciding.decider import Forbidden, NotFound, RuleBroken, Unprocessable
from shared.deciding.submission import Permission
from shared.deciding.trusts import Claim, Job, Trust, TrustAdded, TrustRemoved
from shared.identity.identities import Identities
from shared.identity.issuer_keys import keys_of
from shared.identity.tokens import TokenRefused
from tests.issuer import HttpIssuer, ec_key
from tests.unit.registry.people import house

URL = "https://token.actions.githubusercontent.com"
NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)
MAIN = (Claim("repository", "acme/fraud"), Claim("ref", "refs/heads/main"))
ADD = AddTrust("ci-fraud", "t-1", URL, "regista", ("RS256",), MAIN, "", ("fraud",), "root")
CI = house(
    CreateIdentity("ci-fraud", "publisher"),
    GrantRole("ci-fraud", "publisher", "fraud", "root"),
    GrantRole("ci-fraud", "engineer", "*", "root"),
    IssueKey("ci-fraud", "old", "hmac-sha256", "a" * 64),
)["ci-fraud"]
PUBLIC = generate_signing_key("").public.hex()
SHOWN = {"repository": "acme/fraud", "ref": "refs/heads/main"}
JOB = Job("t-1", "octocat", {"run_id": "7"})
EXCHANGE = ExchangeToken("ci-fraud", "t-1", SHOWN, JOB, NOW + timedelta(minutes=5), "k1", "b" * 64, now=NOW)


def after(state: AccessState, *commands: Any) -> AccessState:
    for command in commands:
        for event in decide_trust(command, state):
            state = evolve_access(state, event)
    return state


TRUSTING = after(CI, ADD)
WITH_KEY = after(TRUSTING, EXCHANGE)


def test_a_trust_is_an_event_of_its_publisher_and_a_second_one_with_its_terms_changes_nothing() -> None:
    (added,) = decide_trust(ADD, CI)
    assert added == TrustAdded("ci-fraud", "t-1", URL, "regista", ("RS256",), MAIN, "", ("fraud",), "root")
    assert decide_trust(replace(ADD, trust_id="t-2", by="eva"), TRUSTING) == []


def test_who_adds_a_trust_counts_as_one_who_has_the_keys_of_its_publisher() -> None:
    assert TRUSTING.appointed_by["root"] == ("granted", "keyed")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ((), "invalid_claims"),
        ((MAIN[1],), "any_project"),
        ((Claim("repository_owner", "acme"), MAIN[1]), "any_project"),
        ((Claim("job_workflow_ref", "acme/shared/.github/workflows/x.yml@main"),), "any_project"),
        ((Claim("repository", "acme/*"),), "any_project"),
        ((Claim("repository", "*"),), "invalid_pattern"),
        ((MAIN[0], Claim("ref", "refs/heads/ma*")), "invalid_pattern"),
        ((MAIN[0], Claim("ref", "refs/*/main")), "invalid_pattern"),
        ((MAIN[0], Claim("ref", "refs/tags/**")), "invalid_pattern"),
        ((MAIN[0], Claim("iss", URL)), "invalid_claim"),
        ((MAIN[0], Claim("ref", "")), "invalid_claim"),
        ((MAIN[0], Claim("repository", "acme/other")), "invalid_claims"),
    ],
)
def test_a_trust_that_other_projects_could_use_or_that_is_not_bounded_is_refused(
    claims: tuple[Claim, ...], code: str
) -> None:
    with pytest.raises(Unprocessable, match=code):
        decide_trust(replace(ADD, claims=claims), CI)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"issuer": "http://example.com"}, "invalid_issuer"),
        ({"algorithms": ("HS256",)}, "invalid_algorithm"),
        ({"algorithms": ("none",)}, "invalid_algorithm"),
        ({"audience": ""}, "invalid_audience"),
        ({"starter_claim": "a b"}, "invalid_claim"),
        ({"namespaces": ()}, "invalid_namespace"),
        ({"namespaces": ("risk",)}, "namespace_not_covered"),
        ({"namespaces": ("*",)}, "namespace_not_covered"),
    ],
)
def test_a_trust_with_settings_that_cannot_hold_is_refused(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(RuleBroken, match=code):
        decide_trust(replace(ADD, **changed), CI)


def test_only_publishers_have_trusts_and_a_bounded_number() -> None:
    with pytest.raises(NotFound, match="unknown_identity"):
        decide_trust(ADD, AccessState())
    with pytest.raises(RuleBroken, match="no_publisher"):
        decide_trust(ADD, house(CreateIdentity("ci-fraud", "person"))["ci-fraud"])
    many = [replace(ADD, trust_id=f"t{n}", audience=f"a{n}") for n in range(MOST_TRUSTS)]
    with pytest.raises(RuleBroken, match="too_many_trusts"):
        decide_trust(ADD, after(CI, *many))


def test_the_keys_of_a_job_end_with_its_token_and_name_the_job() -> None:
    with_key = replace(EXCHANGE, signing_key_id="s1", public_key=PUBLIC)
    api, signing = decide_trust(with_key, TRUSTING)
    ends = NOW + timedelta(minutes=5)
    assert api == KeyIssued("ci-fraud", "k1", "hmac-sha256", "b" * 64, ends, "ci-fraud", JOB)
    assert signing == KeyIssued("ci-fraud", "s1", "ed25519", with_key.public_key, ends, "ci-fraud", JOB)


@pytest.mark.parametrize(
    ("command", "state", "code"),
    [
        (EXCHANGE, after(TRUSTING, RemoveTrust("ci-fraud", "t-1", "root")), "trust_ended"),
        (replace(EXCHANGE, shown={**SHOWN, "ref": "refs/heads/x"}), TRUSTING, "trust_ended"),
        (EXCHANGE, replace(TRUSTING, disabled=True), "identity_disabled"),
        (EXCHANGE, replace(TRUSTING, grants=CI.grants.delete("publisher@fraud")), "namespace_not_covered"),
        (replace(EXCHANGE, token_ends=NOW), TRUSTING, "token_expired"),
        (replace(EXCHANGE, signing_key_id="s", public_key="0" * 64), TRUSTING, "invalid_key"),
    ],
)
def test_the_transaction_decides_again_whether_the_job_gets_a_key(
    command: ExchangeToken, state: AccessState, code: str
) -> None:
    with pytest.raises(RuleBroken, match=code):
        decide_trust(command, state)


def test_the_key_of_a_job_publishes_where_its_trust_is_and_does_nothing_else() -> None:
    here = acting(WITH_KEY, "api-key:k1", AccessState())
    assert permits(here, "publisher", "fraud.cards")
    for role, namespace in [("engineer", "fraud"), ("publisher", "risk"), ("publisher", "")]:
        assert not permits(here, role, namespace)
        assert permits(acting(WITH_KEY, "api-key:old", AccessState()), "engineer", namespace)


def test_a_role_that_the_publisher_loses_is_lost_to_its_jobs() -> None:
    fewer = replace(WITH_KEY, grants=WITH_KEY.grants.delete("publisher@fraud"))
    assert not permits(acting(fewer, "signature:k1", AccessState()), "publisher", "fraud")


def test_a_trust_everywhere_gives_no_more_than_the_publisher_has() -> None:
    narrow = replace(WITH_KEY.trusts["t-1"], namespaces=("*",))
    state = replace(WITH_KEY, trusts=WITH_KEY.trusts.set("t-1", narrow))
    here = acting(state, "api-key:k1", AccessState())
    assert [g.namespace for g in here.grants.values()] == ["fraud"]


@pytest.mark.parametrize("method", ["api-key:k1", "signature:k1"])
def test_a_removed_trust_ends_its_keys_immediately_and_no_other(method: str) -> None:
    check(acting(WITH_KEY, method, AccessState()), Permission("publisher", "fraud"), NOW, method)
    removed = after(WITH_KEY, RemoveTrust("ci-fraud", "t-1", "root"))
    with pytest.raises(Forbidden, match="no_live_key"):
        check(acting(removed, method, AccessState()), Permission("publisher", "fraud"), NOW, method)
    check(removed, Permission("publisher", "fraud"), NOW, "api-key:old")
    assert decide_trust(RemoveTrust("ci-fraud", "t-1", "root"), removed) == []


def test_the_expiry_of_a_signing_key_was_judged_by_the_reader_of_the_message() -> None:
    late = NOW + timedelta(hours=1)
    check(
        acting(WITH_KEY, "signature:k1", AccessState()),
        Permission("publisher", "fraud"),
        late,
        "signature:k1",
    )
    with pytest.raises(Forbidden, match="no_live_key"):
        check(
            acting(WITH_KEY, "api-key:k1", AccessState()),
            Permission("publisher", "fraud"),
            late,
            "api-key:k1",
        )


def test_the_state_keeps_keys_of_jobs_for_a_bounded_time() -> None:
    later = NOW + timedelta(days=9)
    again = replace(EXCHANGE, key_id="k2", token_ends=later + timedelta(minutes=5), now=later)
    assert sorted(after(WITH_KEY, again).keys) == ["k2", "old"]
    soon = replace(again, token_ends=NOW + timedelta(days=2), now=NOW + timedelta(days=2, minutes=-5))
    assert sorted(after(WITH_KEY, soon).keys) == ["k1", "k2", "old"]


def test_a_process_has_who_started_the_job_of_a_key_and_when_its_trust_ended() -> None:
    identities = Identities("pepper")
    (signing,) = decide_trust(replace(EXCHANGE, signing_key_id="s1", public_key=PUBLIC), TRUSTING)[1:]
    for event in (IdentityCreated("ci-fraud", "publisher"), *decide_trust(ADD, CI), signing):
        identities.apply(event, NOW)
    found = identities.signer("s1")
    assert found is not None
    assert (found.started_by, found.taken) == ("octocat", False)
    identities.apply(TrustRemoved("ci-fraud", "t-1", "root"), NOW + timedelta(minutes=1))
    ended = identities.signer("s1")
    assert ended is not None
    assert (ended.taken, ended.live(NOW + timedelta(minutes=2))) == (True, False)
    assert identities.trusted_for_jobs() == []


# What the token of a job has to be.

ISSUER = HttpIssuer(keys=[ec_key("jobs")], clock=NOW.timestamp)
TRUST = Trust("t-1", ISSUER.url, "regista", ("ES256",), MAIN, "", ("fraud",), "root")


def fitting(token: str, *trusts: Trust) -> Offered:
    (key,) = keys_of({"keys": [ISSUER.keys[0].as_dict(private=False)]}).values()
    return offered(token, [("ci-fraud", one) for one in trusts or (TRUST,)], key, NOW)


def job_token(**changed: Any) -> str:
    return ISSUER.token(**(SHOWN | {"sub": "repo:acme/fraud"} | changed))


def test_the_token_of_the_job_fits_the_trust() -> None:
    found = fitting(job_token())
    assert [one.trust_id for _, one in found.fitting] == ["t-1"]
    assert found.expires_at == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    "changed",
    [
        {"repository": "mallory/fraud"},
        {"repository": "acme/fraud-evil"},
        {"repository": "ACME/fraud"},
        {"ref": "refs/heads/main-evil"},
        {"ref": "refs/heads/main/evil"},
        {"ref": "refs/heads"},
        {"ref": None},
        {"ref": ["refs/heads/main"]},
        {"ref": {"refs/heads/main": True}},
        {"repository": True},
        {"aud": ["regista", "elsewhere"]},
    ],
    ids=str,
)
def test_another_job_fits_no_trust(changed: dict[str, Any]) -> None:
    assert fitting(job_token(**changed)).fitting == ()


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ("refs/tags/v1", True),
        ("refs/tags/", False),
        ("refs/tags", False),
        ("refs/tags/a/b", False),
        ("refs/tagsx/v1", False),
    ],
)
def test_a_pattern_stands_for_one_more_part(given: str, fits: bool) -> None:
    tags = replace(TRUST, claims=(MAIN[0], Claim("ref", "refs/tags/*")))
    assert bool(fitting(job_token(ref=given), tags).fitting) is fits


def without_signature() -> str:
    head, body, _ = job_token().split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "jobs"}).encode()).decode().rstrip("=")
    return f"{none}.{body}.{head[:4]}"


@pytest.mark.parametrize(
    "token",
    [
        job_token(aud="elsewhere"),
        job_token(iss="https://other.example"),
        job_token(exp=int(NOW.timestamp()) - 60),
        job_token(exp=None),
        job_token(iat=None),
        job_token(sub=None),
        job_token(exp=int(NOW.timestamp()) + 2 * 86_400),
        without_signature(),
        ISSUER.token(key=ec_key("jobs"), **SHOWN),
    ],
    ids=["audience", "issuer", "expired", "no exp", "no iat", "no sub", "too long", "alg none", "other key"],
)
def test_a_token_that_is_not_valid_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        fitting(token)


@pytest.mark.parametrize("jti", [7, "", "x" * 401, ["a"]], ids=["number", "empty", "long", "list"])
def test_the_id_of_a_token_is_a_short_text(jti: Any) -> None:
    with pytest.raises(TokenRefused):
        _ = fitting(job_token(jti=jti)).jti
    assert fitting(job_token(jti="j-1")).jti == "j-1"
    assert fitting(job_token()).jti == ""


def test_the_starter_is_the_claim_of_the_issuer_or_that_of_the_trust() -> None:
    assert starter_of(TRUST, {"actor": "octocat"}) == "octocat"
    assert starter_of(TRUST, {"user_login": "ann"}) == "ann"
    assert starter_of(TRUST, {"sub": "system:serviceaccount:ml:trainer"}) == ""
    other = replace(TRUST, starter_claim="triggered_by")
    assert starter_of(other, {"actor": "octocat", "triggered_by": "bea"}) == "bea"
    for claims in ({"actor": "octocat"}, {"triggered_by": 7}, {"triggered_by": "a\nb"}, {"triggered_by": ""}):
        with pytest.raises(TokenRefused):
            starter_of(other, claims)


def test_the_event_names_the_job_by_short_texts_only() -> None:
    claims = {
        "repository": "acme/fraud",
        "sha": "a" * 400,
        "run_id": 7,
        "workflow": "a\nb",
        "email": "ann@acme.example",
        "kubernetes.io": {"namespace": "ml", "pod": {"name": "train-1", "uid": "u"}, "node": "n"},
    }
    assert recorded(TRUST, claims) == {
        "repository": "acme/fraud",
        "sha": "a" * 300,
        "kubernetes.io/namespace": "ml",
        "kubernetes.io/pod": "train-1",
    }


def test_a_disabled_publisher_stays_without_keys_for_its_jobs() -> None:
    states = house(CreateIdentity("x", "publisher"), DisableIdentity("x", "root"))
    with pytest.raises(Forbidden, match="trust_ended"):
        decide_trust(replace(EXCHANGE, subject="x"), states["x"])
