"""Roles by sign-in: what the log has gives them, whatever a token claims."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.deciding.access import (
    ACCESS,
    AccessEvent,
    AccessState,
    IdentityCreated,
    IdentityDisabled,
    KeyIssued,
    KeyRevoked,
    RoleGranted,
    check,
    evolve_access,
    permits,
)
from shared.deciding.acting import acting, stream_of_issuer
from shared.deciding.decider import Forbidden
from shared.deciding.events import Actor
from shared.deciding.issuers import (
    GroupMapped,
    GroupUnmapped,
    IssuerDistrusted,
    IssuerTrusted,
    SignedIn,
    issuer_key,
    subject_of_issuer,
)
from shared.deciding.submission import Permission
from shared.identity.access_view import verifier_of
from shared.identity.identities import Identities
from shared.identity.sign_ins import SignInNeeded, identified
from shared.identity.tokens import Token

URL = "https://sso.acme.example"
KEY = issuer_key(URL)
ISSUER = subject_of_issuer(KEY)
T = datetime(2026, 3, 1, tzinfo=UTC)
TRUSTED = IssuerTrusted(ISSUER, URL, "regista", "regista-cli", ("openid",), ("RS256",), "groups", "root")
CREATED = IdentityCreated("u-ann", "person", "u-ann")


def mapped(role: str = "approver", group: str = "board", by: str = "root") -> GroupMapped:
    return GroupMapped(ISSUER, group, role, "fraud", by)


def signed_in(*groups: str, by: tuple[str, ...] = ("root",), minutes: int = 0) -> SignedIn:
    return SignedIn("u-ann", KEY, "acc", groups, by, T + timedelta(minutes=minutes))


def token(*groups: str, minutes: int = 0, account: str = "acc") -> Token:
    issued = T + timedelta(minutes=minutes)
    return Token(KEY, account, issued, issued + timedelta(minutes=5), groups)


def log(*events: AccessEvent) -> Identities:
    identities = Identities("pepper")
    for event in events:
        identities.apply(event, T)
    return identities


def state(identities: Identities, given: Token) -> AccessState:
    return identified(given, identities).state


def test_a_person_has_the_roles_of_the_groups_that_were_seen():
    found = identified(token("board"), log(TRUSTED, mapped(), CREATED, signed_in("board")))
    assert found.actor == Actor("u-ann", method=f"oidc:{KEY}")
    assert permits(found.state, "approver", "fraud.cards")
    assert not permits(found.state, "admin", "fraud")
    assert [(g.role, g.group) for g in found.state.grants.values()] == [("approver", "board")]
    assert found.until == T + timedelta(minutes=5)


def test_a_person_keeps_own_roles_and_needs_no_key():
    identities = log(
        TRUSTED,
        CREATED,
        signed_in(),
        RoleGranted("u-ann", "auditor", "*", by="root"),
        KeyIssued("u-ann", "K", "hmac-sha256", "00" * 32, T - timedelta(days=1)),
    )
    check(state(identities, token()), Permission("auditor", "fraud"), T, f"oidc:{KEY}")
    with pytest.raises(Forbidden, match="role_missing"):
        check(state(identities, token()), Permission("admin", "fraud"), T)


def test_a_key_without_groups_has_no_role_of_a_group():
    identities = log(TRUSTED, mapped(), CREATED, signed_in("board"))
    by_key = acting(identities.state_of("u-ann"), "api-key:K", ACCESS.initial)
    assert not permits(by_key, "approver", "fraud")
    assert permits(identities.with_roles("u-ann"), "approver", "fraud")


def own_key(*, revoked: bool = False) -> list[AccessEvent]:
    """What the person's stream has of a key that they issued with their token: `rg_K_secret`."""
    verifier = verifier_of("rg_K_secret", "pepper")
    issued = KeyIssued("u-ann", "K", "hmac-sha256", verifier, T + timedelta(hours=24), "u-ann", issuer=KEY)
    return [issued, KeyRevoked("u-ann", "K", "lost")] if revoked else [issued]


def by_own_key(*events: AccessEvent) -> AccessState | None:
    """The caller with the key, after the person signed in as a member of the board."""
    found = log(TRUSTED, mapped(), CREATED, signed_in("board"), *own_key(), *events).by_api_key(
        "rg_K_secret", T
    )
    assert found is None or found.actor == Actor("u-ann", method=f"api-key:K@{KEY}")
    return found.state if found else None


def approves(state_: AccessState | None) -> bool:
    return state_ is not None and permits(state_, "approver", "fraud")


def test_a_key_that_a_person_issued_with_a_token_has_the_roles_of_their_groups():
    assert approves(by_own_key())


@pytest.mark.parametrize(
    "end",
    [
        signed_in(minutes=1),
        GroupUnmapped(ISSUER, "board", "approver", "fraud", "root"),
        IssuerDistrusted(ISSUER, "root"),
    ],
    ids=["left the group", "unmapped", "distrusted"],
)
def test_the_key_loses_the_roles_of_a_group_at_once_and_keeps_own_roles(end: AccessEvent):
    state_ = by_own_key(RoleGranted("u-ann", "auditor", "*", by="root"), end)
    assert state_ is not None
    assert not approves(state_)
    assert permits(state_, "auditor", "fraud")


@pytest.mark.parametrize("end", [IdentityDisabled("u-ann"), KeyRevoked("u-ann", "K", "lost")])
def test_the_key_ends_with_the_person_or_its_revocation(end: AccessEvent):
    assert by_own_key(end) is None


def test_a_key_with_groups_has_a_later_group_once_a_sign_in_showed_it():
    assert not permits(by_own_key(mapped("auditor", "audit")) or ACCESS.initial, "auditor", "fraud")
    later = (mapped("auditor", "audit"), signed_in("board", "audit", minutes=1))
    assert permits(by_own_key(*later) or ACCESS.initial, "auditor", "fraud")


def test_a_key_gives_no_role_of_groups_without_what_the_log_has_of_the_issuer():
    identities = log(TRUSTED, mapped(), CREATED, signed_in("board"), *own_key())
    by_key = acting(identities.state_of("u-ann"), f"api-key:K@{KEY}", ACCESS.initial)
    assert not approves(by_key)


@pytest.mark.parametrize("account", ["other", ""])
def test_who_never_signed_in_has_to(account: str):
    with pytest.raises(SignInNeeded):
        identified(token("board", account=account), log(TRUSTED, mapped(), CREATED, signed_in("board")))


@pytest.mark.parametrize("groups", [(), ("board", "audit"), ("audit",)])
def test_a_newer_token_with_other_mapped_groups_has_to_be_recorded_first(groups: tuple[str, ...]):
    identities = log(TRUSTED, mapped(), mapped("auditor", "audit"), CREATED, signed_in("board"))
    with pytest.raises(SignInNeeded):
        identified(token(*groups, minutes=1), identities)


def test_a_group_without_a_role_changes_nothing():
    identities = log(TRUSTED, mapped(), CREATED, signed_in("board"))
    assert permits(state(identities, token("board", "choir", minutes=1)), "approver", "fraud")


def test_a_group_that_the_newer_token_lacked_is_gone_for_older_tokens_too():
    identities = log(TRUSTED, mapped(), CREATED, signed_in("board"), signed_in(minutes=2))
    assert not permits(state(identities, token("board", minutes=1)), "approver", "fraud")


def test_a_role_ends_when_the_mapping_is_revoked():
    identities = log(
        TRUSTED,
        mapped(),
        CREATED,
        signed_in("board"),
        GroupUnmapped(ISSUER, "board", "approver", "fraud", "root"),
    )
    assert not permits(state(identities, token("board")), "approver", "fraud")


def test_no_token_counts_without_trust_and_the_roles_return_with_it():
    events = [TRUSTED, mapped(), CREATED, signed_in("board"), IssuerDistrusted(ISSUER, "root")]
    with pytest.raises(Forbidden, match="issuer_not_trusted"):
        identified(token("board"), log(*events))
    assert log(*events).issuer(URL) is None
    assert not permits(log(*events).with_roles("u-ann"), "approver", "fraud")
    assert permits(state(log(*events, TRUSTED), token("board")), "approver", "fraud")


def test_a_disabled_person_is_refused():
    identities = log(TRUSTED, mapped(), CREATED, signed_in("board"), IdentityDisabled("u-ann"))
    with pytest.raises(Forbidden, match="identity_disabled"):
        identified(token("board"), identities)
    assert identities.present(Actor("u-ann", method=f"oidc:{KEY}")) is None


def test_an_own_mapping_gives_its_author_no_role():
    identities = log(TRUSTED, mapped("admin", by="u-ann"), CREATED, signed_in("board", by=("root", "u-ann")))
    assert not permits(state(identities, token("board")), "admin", "fraud")


def test_a_mapping_of_another_admin_counts_once_a_sign_in_recorded_who_made_it():
    later = mapped("auditor", by="hugo")
    identities = log(TRUSTED, mapped(), CREATED, signed_in("board"), later)
    assert not permits(state(identities, token("board")), "auditor", "fraud")
    with pytest.raises(SignInNeeded):
        identified(token("board", minutes=1), identities)
    identities.apply(signed_in("board", by=("hugo", "root"), minutes=1), T)
    assert permits(state(identities, token("board", minutes=1)), "auditor", "fraud")
    assert dict(identities.state_of("u-ann").appointed_by) == {"root": ("granted",), "hugo": ("granted",)}


def test_an_actor_is_present_while_the_log_lets_it_act():
    events = [TRUSTED, mapped(), CREATED, signed_in("board")]
    actor = Actor("u-ann", method=f"oidc:{KEY}")
    present = log(*events).present(actor)
    assert present is not None
    assert permits(present, "approver", "fraud")
    assert log(*events, IssuerDistrusted(ISSUER, "root")).present(actor) is None
    assert log(*events).present(Actor("u-ann", method="oidc:another")) is None
    assert log(*events).present(Actor("u-none", method=f"oidc:{KEY}")) is None


def test_the_issuer_of_an_actor_is_a_stream_and_no_identity():
    assert stream_of_issuer(f"oidc:{KEY}") == f"access-{ISSUER}"
    assert stream_of_issuer(f"api-key:K@{KEY}") == f"access-{ISSUER}"
    assert stream_of_issuer("api-key:K") == ""
    identities = log(TRUSTED, mapped(), CREATED)
    assert [one.subject for one in identities.all()] == ["u-ann"]
    assert [one.issuer.url for one in identities.issuers() if one.issuer] == [URL]
    with pytest.raises(Forbidden, match="unknown_identity"):
        check(evolve_access(ACCESS.initial, TRUSTED), Permission("none"), T)
