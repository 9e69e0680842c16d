"""Signing in: what is checked of the answers of an issuer, and what a refusal states."""

from __future__ import annotations

import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, Response

from regista.errors import Forbidden, NotConfigured, TimedOut, Unauthorized, Unavailable
from regista.login import issuers, tokens
from regista.login.browser import Proof, _code
from regista.login.issuers import Offered, Provider
from regista.login.redirect import Redirect

from .conftest import Answers

ISSUER = "https://sso.example.com/realms/main"
PROVIDER = Provider(ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token", f"{ISSUER}/keys")
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def http() -> Any:
    with httpx.Client(timeout=5) as client:
        yield client


def discovered(answers: Answers, **other: Any) -> None:
    found = {
        "issuer": answers.url,
        "authorization_endpoint": f"{answers.url}/auth",
        "token_endpoint": f"{answers.url}/token",
        "jwks_uri": f"{answers.url}/keys",
    }
    answers.fixed["GET", DISCOVERY] = JSONResponse(found | other)


# -- which issuer


def test_the_only_issuer_is_chosen_without_naming_it() -> None:
    only = Offered(ISSUER, "regista-cli", ("openid",))
    assert issuers.chosen([only], "") == only


@pytest.mark.parametrize(
    ("trusted", "wanted", "code", "stated"),
    [
        ((), "", "no_issuer", "trusts no issuer"),
        ((ISSUER, "https://b.example.com"), "", "several_issuers", "https://b.example.com"),
        ((ISSUER,), "https://b.example.com", "unknown_issuer", ISSUER),
    ],
)
def test_an_issuer_that_is_not_clear_is_not_guessed(
    trusted: tuple[str, ...], wanted: str, code: str, stated: str
) -> None:
    with pytest.raises(NotConfigured, match=stated) as refused:
        issuers.chosen([Offered(url, "regista-cli", ()) for url in trusted], wanted)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"issuer": "https://evil.example.com"}, "wrong_issuer"),
        ({"token_endpoint": None}, "issuer_incomplete"),
        ({"token_endpoint": "http://sso.example.com/token"}, "issuer_not_secure"),
        ({"jwks_uri": "ftp://sso.example.com/keys"}, "issuer_not_secure"),
    ],
)
def test_a_discovery_document_that_cannot_be_trusted_is_refused(
    answers: Answers, http: httpx.Client, other: dict[str, Any], code: str
) -> None:
    discovered(answers, **other)
    with pytest.raises(NotConfigured) as refused:
        issuers.provider(http, answers.url)
    assert refused.value.code == code


def test_an_issuer_without_https_is_refused_before_it_gets_a_request(http: httpx.Client) -> None:
    with pytest.raises(NotConfigured, match="without HTTPS"):
        issuers.provider(http, "http://sso.example.com")


def test_an_answer_that_is_no_document_names_the_address(answers: Answers, http: httpx.Client) -> None:
    answers.fixed["GET", DISCOVERY] = Response("<html>", 502)
    with pytest.raises(Unavailable, match=f"502 for {answers.url}{DISCOVERY}"):
        issuers.provider(http, answers.url)


@pytest.mark.parametrize(
    ("answer", "code"),
    [({"issuers": []}, "no_issuer"), ({}, "not_regista"), ({"issuers": [1]}, "not_regista")],
)
def test_a_registry_at_which_people_cannot_sign_in_is_reported(
    run: Any, answers: Answers, answer: dict[str, Any], code: str
) -> None:
    answers.fixed["GET", "/v1/sign-in"] = JSONResponse(answer)
    done = run("login", "--json")
    assert (done.exit_code, json.loads(done.stderr)["code"]) == (2, code)


# -- the answer to the browser


@pytest.mark.parametrize(
    ("answer", "names_itself", "code"),
    [
        ({"code": "c", "iss": "https://evil.example.com"}, False, "wrong_issuer"),
        ({"code": "c"}, True, "wrong_issuer"),
        ({"error": "access_denied", "error_description": "no"}, False, "sign_in_refused"),
        ({"error": "server_error"}, False, "sign_in_failed"),
        ({}, False, "sign_in_failed"),
    ],
)
def test_an_answer_without_a_code_of_this_issuer_is_refused(
    answer: dict[str, str], names_itself: bool, code: str
) -> None:
    provider = Provider(ISSUER, "", "", "", names_itself=names_itself)
    with pytest.raises((Unauthorized, Forbidden)) as refused:
        _code(answer, provider)
    assert refused.value.code == code


def test_only_the_answer_with_the_state_of_this_sign_in_is_taken() -> None:
    with Redirect("the-state") as redirect:
        others = [
            httpx.get(redirect.url, params={"code": "stolen", "state": "another"}),
            httpx.get(redirect.url, params={"code": "stolen"}),
            httpx.get(redirect.url.replace("/signed-in", "/favicon.ico")),
        ]
        ours = httpx.get(redirect.url, params={"code": "ours", "state": "the-state"})
        assert [one.status_code for one in others] == [400, 400, 404]
        assert ours.status_code == 200
        assert redirect.wait(1)["code"] == "ours"


def test_the_page_after_a_sign_in_loads_nothing_and_shows_nothing_of_the_request() -> None:
    with Redirect("the-state") as redirect:
        page = httpx.get(redirect.url, params={"state": "the-state", "error": "<script>alert(1)</script>"})
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "script" not in page.text


def test_a_browser_that_does_not_answer_is_reported_with_what_to_do() -> None:
    with Redirect("the-state") as redirect, pytest.raises(TimedOut) as late:
        redirect.wait(0.01)
    assert "--device" in late.value.advice


def test_a_port_in_use_is_named() -> None:
    with Redirect("one") as first, pytest.raises(NotConfigured, match="cannot be used"):
        Redirect("two", httpx.URL(first.url).port or 0)


def test_the_challenge_does_not_show_the_verifier() -> None:
    proof = Proof()
    assert proof.verifier not in str(proof.challenge) + repr(proof)
    assert len(proof.verifier) >= 43
    assert proof.challenge["code_challenge_method"] == "S256"


# -- tokens


def test_a_request_that_the_issuer_refuses_names_its_reason(answers: Answers, http: httpx.Client) -> None:
    answers.fixed["POST", "/token"] = JSONResponse(
        {"error": "invalid_grant", "error_description": "Session not active"}, 400
    )
    kept = tokens.Tokens(answers.url, "regista-cli", f"{answers.url}/token", "", "a", 0.0, 60.0, "r")
    with pytest.raises(Unauthorized, match=r"invalid_grant: Session not active") as ended:
        tokens.refreshed(http, kept)
    assert "regista login" in ended.value.advice


def test_a_sign_in_without_a_refresh_token_ends_with_its_access_token(http: httpx.Client) -> None:
    with pytest.raises(Unauthorized, match="has ended"):
        tokens.refreshed(http, tokens.Tokens(ISSUER, "regista-cli", ISSUER, "", "a", 0.0, 60.0))


def test_the_refresh_token_stays_when_the_issuer_sends_no_new_one(
    answers: Answers, http: httpx.Client
) -> None:
    answers.fixed["POST", "/token"] = JSONResponse(
        {"access_token": "new", "token_type": "Bearer", "expires_in": 300}
    )
    kept = tokens.Tokens(answers.url, "regista-cli", f"{answers.url}/token", "", "a", 0.0, 60.0, "r")
    found = tokens.refreshed(http, kept)
    assert (found.access_token, found.refresh_token, found.lifetime) == ("new", "r", 300.0)


@pytest.mark.parametrize(("left", "lifetime", "fresh"), [(61, 300, True), (59, 300, False), (6, 10, True)])
def test_a_token_is_replaced_a_minute_before_its_end_or_in_its_second_half(
    left: float, lifetime: float, fresh: bool
) -> None:
    kept = tokens.Tokens(ISSUER, "regista-cli", ISSUER, "", "a", 1000.0 + left, lifetime)
    assert kept.fresh(1000.0) is fresh


def test_the_server_of_a_sign_in_ends_with_it() -> None:
    with Redirect("the-state") as redirect:
        url = redirect.url
    assert not [one for one in threading.enumerate() if "serve_forever" in one.name]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


# -- the ID token

KEY = RSAKey.generate_key(2048, {"kid": "k1"})
CLIENT = Offered(ISSUER, "regista-cli", ("openid",))


def id_token(key: RSAKey = KEY, **other: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "regista-cli", "sub": "s", "iat": now, "exp": now + 60, "nonce": "n"}
    chosen = {name: value for name, value in (claims | other).items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": "k1"}, chosen, key)


def with_the_public_key_as_a_secret() -> str:
    header = encoded(b'{"alg":"HS256","kid":"k1"}')
    signed = f"{header}.{id_token().split('.')[1]}"
    return f"{signed}.{encoded(hmac.digest(KEY.as_pem(private=False), signed.encode(), 'sha256'))}"


def encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def signed_in(answers: Answers, http: httpx.Client, token: str) -> tokens.Tokens:
    """Exchange a code at an issuer that answers with this ID token."""
    answers.fixed["GET", "/keys"] = JSONResponse({"keys": [KEY.as_dict(private=False)]})
    answers.fixed["POST", "/token"] = JSONResponse(
        {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token}
    )
    provider = Provider(ISSUER, "", f"{answers.url}/token", f"{answers.url}/keys")
    return tokens.received(http, provider, CLIENT, {"code": "c"}, "n")


def test_an_id_token_of_this_sign_in_is_accepted(answers: Answers, http: httpx.Client) -> None:
    assert signed_in(answers, http, id_token()).access_token == "a"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(id_token(nonce="another"), id="another sign-in"),
        pytest.param(id_token(nonce=None), id="no nonce"),
        pytest.param(id_token(aud="another"), id="another client"),
        pytest.param(id_token(aud=["regista-cli", "b"], azp="b"), id="made for another client"),
        pytest.param(id_token(iss="https://evil.example.com"), id="another issuer"),
        pytest.param(id_token(exp=int(time.time()) - 120), id="expired"),
        pytest.param(id_token(exp=None), id="without an end"),
        pytest.param(id_token(RSAKey.generate_key(2048, {"kid": "k1"})), id="signed by another key"),
        pytest.param(with_the_public_key_as_a_secret(), id="the public key as a secret"),
        pytest.param("eyJhbGciOiJub25lIn0." + id_token().split(".")[1] + ".", id="not signed"),
        pytest.param("no token", id="no token"),
        pytest.param("", id="absent"),
    ],
)
def test_an_id_token_that_is_not_of_this_sign_in_is_refused(
    answers: Answers, http: httpx.Client, token: str
) -> None:
    with pytest.raises(Unauthorized) as refused:
        signed_in(answers, http, token)
    assert refused.value.code == "id_token_refused"
