from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.access.bootstrap import IdentitySpec, KeySpec, Spec, commands
from services.registry.access.domain.commands import (
    CreateIdentity,
    EraseName,
    GrantRole,
    IssueKey,
    RevokeKey,
    RevokeRole,
    SetName,
)
from shared.deciding.access import AccessState, KeyRevoked, permits
from shared.deciding.decider import NotFound, RuleBroken, Unprocessable
from tests.unit.registry.given import names
from tests.unit.registry.people import decide, house

A, B = "a" * 64, "b" * 64


UNKNOWN = AccessState()


def after(*commands) -> AccessState:
    """Return the state of the identity that all commands are about."""
    return house(*commands)[commands[0].subject]


ANN = CreateIdentity("ann", "person")


def test_a_key_that_has_expired_is_not_issued():
    state, now = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A)), datetime(2026, 11, 28, tzinfo=UTC)
    dead = IssueKey("ann", "k2", "hmac-sha256", B, now, now=now)
    with pytest.raises(Unprocessable, match="name a later time") as refused:
        decide(dead, state)
    assert refused.value.code == "key_expired"
    assert names(decide(replace(dead, expires_at=now + timedelta(seconds=1)), state))[0] == "KeyIssued"


def test_a_key_issued_before_it_expired_is_answered_alike_when_repeated():
    now = datetime(2026, 11, 28, tzinfo=UTC)
    issue = IssueKey("ann", "k1", "ed25519", A, now + timedelta(seconds=1), now=now)
    assert decide(replace(issue, now=now + timedelta(days=1)), after(ANN, issue)) == []


def test_an_identity_is_created_once():
    assert names(decide(ANN, UNKNOWN)) == ["IdentityCreated"]
    assert decide(ANN, after(ANN)) == []
    with pytest.raises(RuleBroken, match="identity_exists"):
        decide(CreateIdentity("ann", "service"), after(ANN))


def test_a_name_is_erased_once_and_may_be_given_again():
    state = after(ANN, EraseName("ann"))
    assert decide(EraseName("ann"), state) == []
    assert names(decide(SetName("ann"), state)) == ["NameSet"]
    assert names(decide(EraseName("ann"), after(ANN, EraseName("ann"), SetName("ann")))) == ["NameErased"]


def test_an_unknown_identity_gets_no_name_no_key_and_no_role():
    for command in (
        SetName("ann"),
        EraseName("ann"),
        IssueKey("ann", "k1", "ed25519", A),
        GrantRole("ann", "admin", "*", "root"),
        RevokeKey("ann", "k1"),
        RevokeRole("ann", "admin", "*", "root"),
    ):
        with pytest.raises(NotFound):
            decide(command, UNKNOWN)


def test_a_key_is_issued_once_and_its_id_never_again():
    issue = IssueKey("ann", "k1", "hmac-sha256", A)
    state = after(ANN, issue)
    assert decide(issue, state) == []
    with pytest.raises(RuleBroken, match="key_exists"):
        decide(IssueKey("ann", "k1", "hmac-sha256", B), state)


def test_a_services_key_comes_from_bootstrap_alone():
    state = after(
        CreateIdentity("service:approval", "service"),
        IssueKey("service:approval", "k1", "ed25519", A, bootstrap=True),
    )
    assert state.keys["k1"].verifier == A
    for key in (
        IssueKey("service:approval", "k2", "ed25519", B),
        IssueKey("service:approval", "k1", "ed25519", A),
    ):
        with pytest.raises(RuleBroken, match="service_key"):
            decide(key, state)


def test_bootstrap_gives_a_service_its_key():
    spec = Spec([IdentitySpec("service:approval", "service", "approval", [KeySpec("k1", "ed25519", A)])])
    assert after(*commands(spec)).keys["k1"].verifier == A


def test_a_revoked_key_stays_revoked():
    state = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A), RevokeKey("ann", "k1", "lost"))
    assert state.keys["k1"].revoked
    assert decide(RevokeKey("ann", "k1"), state) == []
    with pytest.raises(NotFound):
        decide(RevokeKey("ann", "k9"), state)


def test_a_revoked_key_may_still_be_found_compromised_and_stays_so():
    state = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A), RevokeKey("ann", "k1", "rotated"))
    found = RevokeKey("ann", "k1", "on a laptop", compromised=True)
    assert decide(found, state) == [KeyRevoked("ann", "k1", "on a laptop", compromised=True)]
    state = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A), RevokeKey("ann", "k1"), found)
    assert (state.keys["k1"].revoked, state.keys["k1"].compromised) == (True, True)
    assert decide(found, state) == decide(RevokeKey("ann", "k1"), state) == []


@pytest.mark.parametrize(
    "command",
    [
        GrantRole("ann", "king", "*", "root"),
        GrantRole("ann", "admin", "a b", "root"),
        GrantRole("ann", "admin", "", "root"),
        IssueKey("ann", "a_b", "ed25519", A),
        IssueKey("ann", "k", "ed25519", "zz"),
        CreateIdentity("a b", "person"),
    ],
)
def test_what_can_never_be_true_is_unprocessable(command):
    with pytest.raises(Unprocessable):
        decide(command, UNKNOWN if isinstance(command, CreateIdentity) else after(ANN))


@pytest.mark.parametrize("role", ["override", "engineer"])
def test_a_caller_cannot_grant_a_role_to_themselves(role):
    state = after(ANN, GrantRole("ann", "admin", "team", "root"))
    with pytest.raises(RuleBroken, match="own_role"):
        decide(GrantRole("ann", role, "team", "ann"), state)
    assert names(decide(GrantRole("ann", role, "team", "root"), state)) == ["RoleGranted"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([GrantRole, RevokeRole]),
            st.sampled_from(["engineer", "approver"]),
            st.sampled_from(["team", "risk"]),
        )
    )
)
def test_what_was_granted_last_counts(steps):
    state = after(
        ANN,
        *[command("ann", role, namespace, "root") for command, role, namespace in steps],
    )
    last = {(role, namespace): command is GrantRole for command, role, namespace in steps}
    for (role, namespace), granted in last.items():
        assert permits(state, role, namespace) == granted


@pytest.mark.parametrize(
    "subject", ["ann@example.com", "person:ann.b@mail.example.org", "ci@build.example.com"]
)
def test_an_address_is_no_subject(subject):
    with pytest.raises(Unprocessable, match="address_as_subject"):
        decide(CreateIdentity(subject, "person"), UNKNOWN)


@pytest.mark.parametrize("subject", ["u-7k2m", "person:7k2m", "ci@build", "publisher:a.b.c", "a@b:c.d"])
def test_other_subjects_may_have_dots_and_signs(subject):
    assert names(decide(CreateIdentity(subject, "person"), UNKNOWN)) == ["IdentityCreated"]
