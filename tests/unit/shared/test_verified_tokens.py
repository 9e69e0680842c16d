"""A verified token is verified once, and only as long as nothing changed that verified it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.deciding.issuers import Issuer
from shared.identity import verified_tokens
from shared.identity.tokens import LEEWAY, IssuerKey, Token
from shared.identity.verified_tokens import VerifiedTokens
from tests.issuer import ec_key

URL = "https://sso.acme.example"
T = datetime(2026, 3, 1, tzinfo=UTC)
ISSUER = Issuer(URL, "regista", "regista-cli", ("openid",), ("ES256",), "groups", "root")
TOKEN = Token("k", "account", T, T + timedelta(minutes=5))


@dataclass
class World:
    """What is trusted now."""

    issuer: Issuer | None = ISSUER
    key: IssuerKey | None = field(default_factory=lambda: IssuerKey("first", ec_key("first")))

    def tokens(self) -> VerifiedTokens:
        found = VerifiedTokens(lambda _url: self.issuer, lambda _issuer, _kid: self.key)
        assert self.key is not None
        found.keep("a.b.c", ISSUER, self.key, TOKEN)
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_verified_token_is_found_again_and_no_other(world: World) -> None:
    kept = world.tokens()
    assert kept.find("a.b.c", T) is TOKEN
    assert kept.find("a.b.d", T) is None
    assert kept.find("\ud800", T) is None


def test_it_ends_with_its_time(world: World) -> None:
    kept, end = world.tokens(), TOKEN.expires_at + timedelta(seconds=LEEWAY)
    assert kept.find("a.b.c", end - timedelta(seconds=1)) is TOKEN
    assert kept.find("a.b.c", end) is None
    assert kept.find("a.b.c", T) is None, "it is gone"


@pytest.mark.parametrize("issuer", [None, replace(ISSUER, audience="other"), replace(ISSUER, trusted=False)])
def test_it_ends_with_the_trust_or_its_settings(world: World, issuer: Issuer | None) -> None:
    kept = world.tokens()
    world.issuer = issuer
    assert kept.find("a.b.c", T) is None


@pytest.mark.parametrize("key", [None, IssuerKey("first", ec_key("first"))])
def test_it_ends_with_its_key_also_when_another_has_the_id(world: World, key: IssuerKey | None) -> None:
    kept = world.tokens()
    world.key = key
    assert kept.find("a.b.c", T) is None


def test_the_tokens_used_last_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_tokens, "MOST", 2)
    kept = world.tokens()
    assert world.key is not None
    kept.keep("second", ISSUER, world.key, TOKEN)
    assert kept.find("a.b.c", T) is TOKEN
    kept.keep("third", ISSUER, world.key, TOKEN)
    assert [text for text in ("a.b.c", "second", "third") if kept.find(text, T)] == ["a.b.c", "third"]
