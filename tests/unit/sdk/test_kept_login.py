"""A sign-in on this machine: how it is kept, used by requests, and shared by processes."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import keyring
import msgspec
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked
from starlette.responses import JSONResponse

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import Unauthorized, Unavailable
from regista.login.current import Login
from regista.login.kept import KeptLogin
from regista.login.tokens import Tokens

from .conftest import API_KEY, QUICK, Answers, problem

VALID = 4_000_000_000.0


class Wallet(KeyringBackend):
    """The keyring of a system, unlocked or not.

    `keyring` chooses among all classes that it can make without arguments. This one must not be chosen:
    the commands that other tests start have another keyring.
    """

    priority = 1.0  # type: ignore[assignment]

    def __init__(self, entries: dict[tuple[str, str], str]) -> None:
        super().__init__()
        self.entries = entries
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture
def wallet() -> Iterator[Wallet]:
    before, found = keyring.get_keyring(), Wallet({})
    keyring.set_keyring(found)
    yield found
    keyring.set_keyring(before)


@pytest.fixture
def _no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def person(answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _no_keyring: None) -> Profile:
    """A profile without a key."""
    monkeypatch.setenv("REGISTA_CONFIG", str(tmp_path / "config.toml"))
    return Profile(url=answers.url, cache_dir=str(tmp_path / "cache"), usage_window=0)


def tokens(answers: Answers, *, expires_at: float = VALID, access: str = "access") -> Tokens:
    url = answers.url
    return Tokens(url, "regista-cli", f"{url}/token", f"{url}/revoke", access, expires_at, 300.0, "refresh")


# -- where it is


def test_without_a_keyring_only_the_owner_reads_the_file(answers: Answers, person: Profile) -> None:
    kept = KeptLogin(person)
    assert kept.write(tokens(answers)) is False
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    assert kept.read() == tokens(answers)


def test_with_a_keyring_the_file_alone_opens_nothing(
    answers: Answers, person: Profile, wallet: Wallet
) -> None:
    kept = KeptLogin(person)
    assert kept.write(tokens(answers)) is True
    assert b"access" not in kept.path.read_bytes()
    assert b"refresh" not in kept.path.read_bytes()
    assert kept.read() == tokens(answers)
    wallet.locked = True
    with pytest.raises(Unauthorized, match="keyring, or it is locked"):
        kept.read()


def test_a_sealed_file_that_was_changed_or_moved_is_not_opened(
    answers: Answers, person: Profile, wallet: Wallet
) -> None:
    kept, other = KeptLogin(person), KeptLogin(replace(person, name="other"))
    kept.write(tokens(answers))
    other.write(tokens(answers))
    wallet.entries["regista", other.path.stem] = wallet.entries["regista", kept.path.stem]
    other.path.write_bytes(kept.path.read_bytes())
    with pytest.raises(Unauthorized, match="sealed by another key"):
        other.read()


def test_a_locked_keyring_does_not_prevent_a_sign_in(
    answers: Answers, person: Profile, wallet: Wallet
) -> None:
    wallet.locked = True
    kept = KeptLogin(person)
    assert kept.write(tokens(answers)) is False
    assert kept.read() == tokens(answers)


def test_each_profile_and_registry_has_a_sign_in_of_its_own(person: Profile) -> None:
    others = [person, replace(person, name="ann"), replace(person, url="https://other.example.com")]
    assert len({KeptLogin(one).path for one in others}) == 3
    assert KeptLogin(person).path == KeptLogin(replace(person, url=person.url + "/")).path


def test_a_file_that_is_no_sign_in_is_reported_with_what_to_do(person: Profile) -> None:
    kept = KeptLogin(person)
    kept.path.parent.mkdir()
    kept.path.write_text("{}")
    with pytest.raises(Unauthorized) as refused:
        kept.read()
    assert "regista login" in refused.value.advice


# -- requests


@pytest.fixture
def me(answers: Answers) -> Answers:
    answers.fixed["GET", "/v1/access/me"] = JSONResponse({"subject": "u-1"})
    return answers


def bearer(answers: Answers) -> list[str | None]:
    return [one.headers.get("authorization") for one in answers.of("GET", "/v1/access/me")]


def test_requests_carry_the_sign_in_when_there_is_no_key(me: Answers, person: Profile) -> None:
    KeptLogin(person).write(tokens(me))
    with Client(person, patience=QUICK) as client:
        client.whoami()
    assert bearer(me) == ["Bearer access"]


def test_a_key_wins_over_the_sign_in(me: Answers, person: Profile) -> None:
    KeptLogin(person).write(tokens(me))
    with Client(replace(person, api_key=API_KEY), patience=QUICK) as client:
        client.whoami()
    assert bearer(me) == [f"Bearer {API_KEY}"]


def test_without_key_and_sign_in_a_request_carries_nothing(me: Answers, person: Profile) -> None:
    with Client(person, patience=QUICK) as client:
        client.whoami()
    assert bearer(me) == [None]


def test_a_service_that_has_not_seen_the_person_gets_the_request_again_after_the_registry(
    me: Answers, person: Profile
) -> None:
    KeptLogin(person).write(tokens(me))
    me.given["GET", "/v1/access/me"] = [problem(401, "sign_in_needed"), problem(401, "sign_in_needed")]
    me.fixed["POST", "/v1/sign-ins"] = JSONResponse({})
    with Client(person, patience=QUICK) as client:
        assert client.whoami() == {"subject": "u-1"}
    (sent,) = me.of("POST", "/v1/sign-ins")
    assert sent.headers["authorization"] == "Bearer access"
    assert len(bearer(me)) == 3


def test_a_refused_sign_in_is_the_error_of_the_request(me: Answers, person: Profile) -> None:
    KeptLogin(person).write(tokens(me))
    me.given["GET", "/v1/access/me"] = [problem(401, "sign_in_needed")]
    me.fixed["POST", "/v1/sign-ins"] = problem(403, "identity_disabled")
    with Client(person, patience=QUICK) as client, pytest.raises(Exception, match="identity_disabled"):
        client.whoami()


# -- refresh


def renewed(answers: Answers) -> None:
    answers.fixed["POST", "/token"] = JSONResponse(
        {"access_token": "new", "token_type": "Bearer", "expires_in": 300, "refresh_token": "next"}
    )


def test_an_access_token_that_ends_soon_is_replaced_before_the_request(me: Answers, person: Profile) -> None:
    KeptLogin(person).write(tokens(me, expires_at=time.time() + 30))
    renewed(me)
    with Client(person, patience=QUICK) as client:
        client.whoami()
        client.whoami()
    assert bearer(me) == ["Bearer new", "Bearer new"]
    assert len(me.of("POST", "/token")) == 1


def test_several_callers_at_the_same_time_refresh_once(me: Answers, person: Profile) -> None:
    KeptLogin(person).write(tokens(me, expires_at=0.0))
    renewed(me)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: Login(person).access_token(), range(4)))
    assert found == ["new"] * 4
    assert len(me.of("POST", "/token")) == 1


def test_while_the_issuer_is_unreachable_the_access_token_is_used_to_its_end(
    me: Answers, person: Profile
) -> None:
    kept = KeptLogin(person)
    gone = replace_endpoint(tokens(me, expires_at=time.time() + 30), "http://127.0.0.1:9/token")
    kept.write(gone)
    assert Login(person).access_token() == "access"
    kept.write(replace_endpoint(tokens(me, expires_at=0.0), "http://127.0.0.1:9/token"))
    with pytest.raises(Unavailable, match="issuer"):
        Login(person).access_token()


def replace_endpoint(found: Tokens, url: str) -> Tokens:
    return msgspec.structs.replace(found, token_endpoint=url)


# -- the commands


def test_logout_revokes_deletes_and_reports(run: Any, me: Answers, person: Profile, wallet: Wallet) -> None:
    KeptLogin(person).write(tokens(me))
    me.fixed["POST", "/revoke"] = JSONResponse({})
    environment = {"REGISTA_API_KEY": "", "REGISTA_CONFIG": str(KeptLogin(person).path.parents[1] / "c")}
    done = run("logout", "--json", environment=environment)
    assert json.loads(done.stdout) == {"signed_out": True, "issuer": me.url, "revoked": True}
    (sent,) = me.of("POST", "/revoke")
    assert b"token=refresh" in sent.body
    assert not KeptLogin(person).exists()
    assert wallet.entries == {}
    assert run("logout", environment=environment).stdout == "You were not signed in here.\n"


def test_a_logout_that_the_issuer_did_not_confirm_is_reported_and_deletes_all_the_same(
    run: Any, me: Answers, person: Profile
) -> None:
    KeptLogin(person).write(tokens(me))
    me.fixed["POST", "/revoke"] = JSONResponse({}, 500)
    environment = {"REGISTA_API_KEY": "", "REGISTA_CONFIG": str(KeptLogin(person).path.parents[1] / "c")}
    done = run("logout", environment=environment)
    assert "did not confirm" in done.stderr
    assert not KeptLogin(person).exists()


def test_whoami_shows_the_sign_in_and_until_when(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/access/me"] = JSONResponse(
        {
            "subject": "u-1",
            "name": "Ada Lovelace",
            "kind": "person",
            "key": None,
            "sign_in": {"issuer": "https://sso.example.com", "until": "2027-11-29T00:05:00Z"},
            "roles": [{"role": "approver", "namespace": "fraud", "group": "board"}],
        }
    )
    shown = run("whoami").stdout
    assert "https://sso.example.com" in shown
    assert "2027-11-29T00:05:00Z" in shown
    assert "approver (as a member of board) in fraud" in shown
