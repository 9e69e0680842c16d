"""The keys of issuers: read in bounds, kept during an outage, rotated without a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from shared.deciding.issuers import Issuer
from shared.identity import issuer_keys
from shared.identity.issuer_keys import LARGEST, LOOK_AGAIN, REFRESH, IssuerKeys, Unreadable, keys_of
from tests.issuer import HttpIssuer, ec_key, rsa_key, running

DISCOVERY, KEYS = "/realms/acme/.well-known/openid-configuration", "/realms/acme/keys"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def http() -> Iterator[HttpIssuer]:
    with running() as issuer:
        yield issuer


def trusted(http: HttpIssuer) -> Issuer:
    return Issuer(http.url, "regista", "regista-cli", ("openid",), ("ES256",), "groups", "root")


@pytest.fixture
async def issuers(http: HttpIssuer) -> list[Issuer]:
    """The issuers that are trusted."""
    return [trusted(http)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(issuers: list[Issuer], clock: Clock) -> AsyncIterator[IssuerKeys]:
    async with contextlib.aclosing(IssuerKeys(lambda: issuers, clock)) as found:
        yield found


@pytest.fixture
def issuer(issuers: list[Issuer]) -> Issuer:
    return issuers[0]


async def test_a_key_is_found_once_it_was_read(issuer: Issuer, keys: IssuerKeys) -> None:
    assert keys.find(issuer, "first") is None
    assert not keys.has_read(issuer)
    await keys.look_again(issuer)
    assert keys.has_read(issuer)
    assert keys.find(issuer, "first") is not None
    assert keys.find(issuer, "second") is None


async def test_any_number_of_unknown_keys_reads_the_issuer_once_in_a_while(
    http: HttpIssuer, issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    await asyncio.gather(*(keys.look_again(issuer) for _ in range(200)))
    for _ in range(50):
        await keys.look_again(issuer)
    assert http.asked[KEYS] == 1
    clock.now += LOOK_AGAIN
    await asyncio.gather(*(keys.look_again(issuer) for _ in range(200)))
    assert http.asked[KEYS] == 2


async def test_a_new_key_counts_without_a_restart_and_the_old_one_not_any_more(
    http: HttpIssuer, issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    await keys.look_again(issuer)
    http.keys = [ec_key("second")]
    clock.now += LOOK_AGAIN
    await keys.look_again(issuer)
    assert keys.find(issuer, "second") is not None
    assert keys.find(issuer, "first") is None


async def test_known_keys_go_on_working_while_the_issuer_is_unreachable(
    http: HttpIssuer, issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    await keys.look_again(issuer)
    http.stop()
    clock.now += 10 * REFRESH
    await keys.look_again(issuer)
    assert keys.find(issuer, "first") is not None


async def test_keys_are_read_again_when_they_are_due_and_dropped_without_trust(
    http: HttpIssuer, issuers: list[Issuer], issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    keys.refresh_due()
    await keys.look_again(issuer)
    keys.refresh_due()
    assert http.asked[KEYS] == 1
    clock.now += REFRESH
    keys.refresh_due()
    await keys.look_again(issuer)
    assert http.asked[KEYS] == 2
    issuers.clear()
    keys.refresh_due()
    assert keys.find(issuer, "first") is None


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        (DISCOVERY, (404, {}, b"{}"), "answered 404"),
        (DISCOVERY, (302, {"location": "http://127.0.0.1:1/"}, b""), "answered 302"),
        (DISCOVERY, (200, {}, b"[]"), "no JSON object"),
        (DISCOVERY, (200, {}, b"[" * 100_000), "no JSON object"),
        (DISCOVERY, (200, {}, b"\xff"), "no JSON object"),
        (DISCOVERY, (200, {"content-encoding": "gzip"}, b"\x1f\x8b"), "no JSON object"),
        (DISCOVERY, (200, {}, b'{"issuer": "https://another.example"}'), "another issuer"),
        (KEYS, (301, {"location": "http://127.0.0.1:1/"}, b""), "answered 301"),
        (KEYS, (200, {}, b" " * (LARGEST + 1)), "more than"),
        (KEYS, (200, {}, b'{"keys": []}'), "no key"),
        (KEYS, (200, {}, b'{"keys": 7}'), "no key"),
    ],
)
async def test_an_answer_that_is_wrong_is_refused_with_the_reason(
    http: HttpIssuer, keys: IssuerKeys, path: str, answer: Any, why: str
) -> None:
    http.answers[path] = answer
    with pytest.raises(Unreadable, match=why):
        await keys.read(http.url)


@pytest.mark.parametrize(
    "where",
    ["http://sso.acme.example/keys", "ftp://127.0.0.1/keys", "keys", "file:///etc/passwd", "http://[", 7],
)
async def test_keys_are_read_by_https_or_on_this_machine_only(
    http: HttpIssuer, issuer: Issuer, keys: IssuerKeys, where: Any
) -> None:
    http.answers[DISCOVERY] = (200, {}, json.dumps({"issuer": http.url, "jwks_uri": where}).encode())
    with pytest.raises(Unreadable, match="jwks_uri"):
        await keys.read(http.url)


async def test_an_issuer_that_never_answers_is_given_up(
    http: HttpIssuer, keys: IssuerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "WITHIN", 0.05)
    http.stop()
    with socket.create_server(("127.0.0.1", http.port)), pytest.raises(Unreadable, match="within"):
        await keys.read(http.url)


def test_only_public_keys_for_signatures_are_taken() -> None:
    good, rsa = ec_key("good"), rsa_key()
    shown: list[dict[str, Any]] = [
        good.as_dict(private=False),
        rsa.as_dict(private=False),
        {**ec_key("private").as_dict(private=True)},
        {**ec_key("encrypts").as_dict(private=False), "use": "enc"},
        {**ec_key("signs-only").as_dict(private=False), "key_ops": ["sign"]},
        {**ec_key("no-id").as_dict(private=False), "kid": None},
        {**ec_key("broken").as_dict(private=False), "x": "AA"},
        OctKey.generate_key(256, {"kid": "secret"}).as_dict(private=True),
        {"kty": "RSA", "kid": "tiny", "n": "AQAB", "e": "AQAB"},
        {**ec_key("good").as_dict(private=False)},
    ]
    found = keys_of({"keys": shown})
    assert sorted(found) == ["good", "rsa-0"]
    assert found["good"].key.as_dict()["x"] == good.as_dict()["x"], "the first key with an id counts"
    assert (found["good"].algorithm, found["rsa-0"].algorithm) == ("ES256", "")


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_weak_key_is_not_taken() -> None:
    weak = RSAKey.generate_key(1024, {"kid": "weak"})
    assert keys_of({"keys": [weak.as_dict(private=False)]}) == {}
