"""Tokens of people: what verifies, and each known way to forge or misuse one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.deciding.issuers import Issuer, account_of
from shared.identity.issuer_keys import keys_of
from shared.identity.tokens import (
    LARGEST,
    LEEWAY,
    LONGEST_LIFE,
    Token,
    TokenRefused,
    claimed,
    is_token,
    verified,
)
from tests.issuer import HttpIssuer, ec_key, rsa_key, signed_with_public_key

PEPPER = "pepper"
NOW = 1_772_000_000


def at(issuer: HttpIssuer, *algorithms: str) -> Issuer:
    """The settings under which Regista trusts the issuer."""
    return Issuer(
        issuer.url, "regista", "regista-cli", ("openid",), algorithms or ("ES256",), "groups", "root"
    )


def read(issuer: HttpIssuer, text: str, *algorithms: str) -> Token:
    """Verify a token with the key that it names among those of the issuer."""
    keys = keys_of({"keys": [key.as_dict(private=False) for key in issuer.keys]})
    found = keys.get(claimed(text).kid)
    if found is None:
        raise TokenRefused("unknown key")
    return verified(text, at(issuer, *algorithms), found, PEPPER, datetime.fromtimestamp(NOW, UTC))


@pytest.fixture(scope="module")
def issuer() -> HttpIssuer:
    """An issuer that nothing reads over HTTP."""
    return HttpIssuer(port=9, keys=[ec_key("first"), rsa_key()], clock=lambda: NOW)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_of_the_issuer_shows_who_until_when_and_in_which_groups(issuer: HttpIssuer) -> None:
    token = read(issuer, issuer.token(groups=["fraud", 7, ""], name=" Ann ", auth_time=NOW - 5, amr=["otp"]))
    assert token.account == account_of(PEPPER, issuer.url, "ann")
    assert (token.groups, token.name, token.amr) == (("fraud",), "Ann", ("otp",))
    assert token.expires_at - token.issued_at == timedelta(seconds=300)
    assert token.auth_time == datetime.fromtimestamp(NOW - 5, UTC)


def test_the_account_is_a_keyed_hash_that_names_neither_the_issuer_nor_the_person(issuer: HttpIssuer) -> None:
    one, other = read(issuer, issuer.token()), read(issuer, issuer.token(sub="bob"))
    assert one.account != other.account
    assert one.account != account_of("another pepper", issuer.url, "ann")


@pytest.mark.parametrize("audience", ["regista", ["account", "regista"]])
def test_a_token_may_be_for_several_audiences(issuer: HttpIssuer, audience: Any) -> None:
    assert read(issuer, issuer.token(aud=audience)).account


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["account"]},
        {"aud": {"regista": True}},
        {"iss": "http://127.0.0.1:9/realms/other"},
        {"iss": "http://127.0.0.1:9/realms/acme/"},
        {"exp": NOW - LEEWAY},
        {"nbf": NOW + LEEWAY + 1},
        {"iat": NOW + LEEWAY + 1},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"exp": None},
        {"iat": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "s" * 256},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": True},
        {"exp": 10**400},
        {"exp": 10**15},
        {"exp": NOW + LONGEST_LIFE + 60},
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(issuer: HttpIssuer, claims: Any) -> None:
    with pytest.raises(TokenRefused):
        read(issuer, issuer.token(**claims))


def test_clocks_may_differ_by_the_leeway(issuer: HttpIssuer) -> None:
    assert read(issuer, issuer.token(iat=NOW + LEEWAY, nbf=NOW + LEEWAY))
    assert read(issuer, issuer.token(iat=NOW - 100, exp=NOW - LEEWAY + 1))


def test_a_token_without_a_signature_is_refused(issuer: HttpIssuer) -> None:
    head = part({"alg": "none", "kid": "first"})
    for signature in ("", "AA"):
        with pytest.raises(TokenRefused):
            read(issuer, f"{head}.{part(issuer.claims())}.{signature}")


def test_a_public_key_is_no_secret_of_an_hmac(issuer: HttpIssuer) -> None:
    forged = signed_with_public_key(rsa_key(), issuer.claims())
    assert claimed(forged).algorithm == "HS256"
    for trusted in ("RS256", "HS256"):
        with pytest.raises(TokenRefused):
            read(issuer, forged, trusted)


def test_only_the_algorithms_of_the_issuer_count(issuer: HttpIssuer) -> None:
    by_rsa = issuer.token(key=rsa_key())
    assert read(issuer, by_rsa, "RS256")
    with pytest.raises(TokenRefused, match="ES256"):
        read(issuer, by_rsa, "ES256")


def test_a_key_verifies_no_other_algorithm_than_it_is_for(issuer: HttpIssuer) -> None:
    claiming = issuer.token(header={"kid": "first"}, key=rsa_key())
    with pytest.raises(TokenRefused):
        read(issuer, claiming, "RS256", "ES256")


def test_a_key_in_the_header_is_not_used(issuer: HttpIssuer) -> None:
    own = ec_key("first")
    header = {
        "jwk": own.as_dict(private=False),
        "jku": "http://127.0.0.1:9/own",
        "x5u": "http://127.0.0.1:9/",
    }
    with pytest.raises(TokenRefused):
        read(issuer, issuer.token(header=header, key=own))
    assert read(issuer, issuer.token(header=header)), (
        "the issuer's own signature counts, whatever the header adds"
    )


def test_a_changed_claim_breaks_the_signature(issuer: HttpIssuer) -> None:
    head, _, signature = issuer.token().split(".")
    with pytest.raises(TokenRefused):
        read(issuer, f"{head}.{part(issuer.claims(sub='root'))}.{signature}")


@pytest.mark.parametrize(
    "header",
    [{"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}, {"typ": "logout+jwt"}, {"kid": ""}, {"kid": 7}],
)
def test_a_token_of_another_kind_is_refused(issuer: HttpIssuer, header: Any) -> None:
    _, body, signature = issuer.token().split(".")
    head = part({"alg": "ES256", "kid": "first"} | header)
    with pytest.raises(TokenRefused):
        read(issuer, f"{head}.{body}.{signature}")


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt"])
def test_the_types_of_access_tokens_are_accepted(issuer: HttpIssuer, typ: str) -> None:
    assert read(issuer, issuer.token(header={"typ": typ}))


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c",
        "..",
        f"{part([])}.{part({})}.AA",
        f"{part({})}.{part({})}.AA",
        "[" * 6000 + ".e30.AA",
        f"{base64.urlsafe_b64encode(b'[' * 6000).decode()}.e30.AA",
        f"{part({'alg': 'ES256', 'kid': 'first'})}\n.{part({'iss': 'x'})}.AA",
        "ä.b.c",
        "x" * LARGEST + ".b.c",
    ],
)
def test_what_is_no_token_is_refused_in_words(text: str) -> None:
    with pytest.raises(TokenRefused, match=r"send|issuer"):
        claimed(text)


def test_a_deep_claim_is_refused_and_not_a_fault(issuer: HttpIssuer) -> None:
    head, _, signature = issuer.token().split(".")
    deep = b'{"iss":"' + issuer.url.encode() + b'","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    nested = base64.urlsafe_b64encode(deep).decode()
    with pytest.raises(TokenRefused):
        read(issuer, f"{head}.{nested.rstrip('=')}.{signature}")


def test_an_api_key_has_not_the_form_of_a_token(issuer: HttpIssuer) -> None:
    assert is_token(issuer.token())
    assert not is_token("rg_abc_d.e.f")
    assert not is_token("abc")


@pytest.mark.parametrize("value", [7, "", "x" * 201, "A\u202eB", None])
def test_a_name_that_people_cannot_read_is_left_out(issuer: HttpIssuer, value: Any) -> None:
    assert read(issuer, issuer.token(name=value, preferred_username="ann")).name == "ann"
    assert read(issuer, issuer.token(name=value)).name == ""
