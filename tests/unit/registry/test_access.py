from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.access.bootstrap import IdentitySpec, KeySpec, Spec, commands
from services.registry.access.domain import (
    ACCESS,
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

A, B = "a" * 64, "b" * 64


def after(*commands) -> AccessState:
    state = ACCESS.initial
    for command in commands:
        for event in ACCESS.decide(command, state):
            state = ACCESS.evolve(state, event)
    return state


ANN = CreateIdentity("ann", "person")


def test_a_key_that_has_expired_is_not_issued():
    state, now = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A)), datetime(2026, 11, 28, tzinfo=UTC)
    dead = IssueKey("ann", "k2", "hmac-sha256", B, now, now=now)
    with pytest.raises(Unprocessable, match="name a later time") as refused:
        ACCESS.decide(dead, state)
    assert refused.value.code == "key_expired"
    assert names(ACCESS.decide(replace(dead, expires_at=now + timedelta(seconds=1)), state))[0] == "KeyIssued"


def test_a_key_issued_before_it_expired_is_answered_alike_when_repeated():
    now = datetime(2026, 11, 28, tzinfo=UTC)
    issue = IssueKey("ann", "k1", "ed25519", A, now + timedelta(seconds=1), now=now)
    assert ACCESS.decide(replace(issue, now=now + timedelta(days=1)), after(ANN, issue)) == []


def test_an_identity_is_created_once():
    assert names(ACCESS.decide(ANN, ACCESS.initial)) == ["IdentityCreated"]
    assert ACCESS.decide(ANN, after(ANN)) == []
    with pytest.raises(RuleBroken, match="identity_exists"):
        ACCESS.decide(CreateIdentity("ann", "service"), after(ANN))


def test_a_name_is_erased_once_and_may_be_given_again():
    state = after(ANN, EraseName("ann"))
    assert ACCESS.decide(EraseName("ann"), state) == []
    assert names(ACCESS.decide(SetName("ann"), state)) == ["NameSet"]
    assert names(ACCESS.decide(EraseName("ann"), after(ANN, EraseName("ann"), SetName("ann")))) == [
        "NameErased"
    ]


def test_an_unknown_identity_gets_no_name_no_key_and_no_role():
    for command in (
        SetName("ann"),
        EraseName("ann"),
        IssueKey("ann", "k1", "ed25519", A),
        GrantRole("ann", "admin", "*", "root"),
        RevokeKey("ann", "k1"),
        RevokeRole("ann", "admin", "*"),
    ):
        with pytest.raises(NotFound):
            ACCESS.decide(command, ACCESS.initial)


def test_a_key_is_issued_once_and_its_id_never_again():
    issue = IssueKey("ann", "k1", "hmac-sha256", A)
    state = after(ANN, issue)
    assert ACCESS.decide(issue, state) == []
    with pytest.raises(RuleBroken, match="key_exists"):
        ACCESS.decide(IssueKey("ann", "k1", "hmac-sha256", B), state)


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
            ACCESS.decide(key, state)


def test_bootstrap_gives_a_service_its_key():
    spec = Spec([IdentitySpec("service:approval", "service", "approval", [KeySpec("k1", "ed25519", A)])])
    assert after(*commands(spec)).keys["k1"].verifier == A


def test_a_revoked_key_stays_revoked():
    state = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A), RevokeKey("ann", "k1", "lost"))
    assert state.keys["k1"].revoked
    assert ACCESS.decide(RevokeKey("ann", "k1"), state) == []
    with pytest.raises(NotFound):
        ACCESS.decide(RevokeKey("ann", "k9"), state)


def test_a_revoked_key_may_still_be_found_compromised_and_stays_so():
    state = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A), RevokeKey("ann", "k1", "rotated"))
    found = RevokeKey("ann", "k1", "on a laptop", compromised=True)
    assert ACCESS.decide(found, state) == [KeyRevoked("ann", "k1", "on a laptop", compromised=True)]
    state = after(ANN, IssueKey("ann", "k1", "hmac-sha256", A), RevokeKey("ann", "k1"), found)
    assert (state.keys["k1"].revoked, state.keys["k1"].compromised) == (True, True)
    assert ACCESS.decide(found, state) == ACCESS.decide(RevokeKey("ann", "k1"), state) == []


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
        ACCESS.decide(command, ACCESS.initial if isinstance(command, CreateIdentity) else after(ANN))


@pytest.mark.parametrize("role", ["override", "engineer"])
def test_a_caller_cannot_grant_a_role_to_themselves(role):
    state = after(ANN, GrantRole("ann", "admin", "team", "root"))
    with pytest.raises(RuleBroken, match="own_role"):
        ACCESS.decide(GrantRole("ann", role, "team", "ann"), state)
    assert names(ACCESS.decide(GrantRole("ann", role, "team", "root"), state)) == ["RoleGranted"]


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
        *[
            command("ann", role, namespace, *["root"] * (command is GrantRole))
            for command, role, namespace in steps
        ],
    )
    last = {(role, namespace): command is GrantRole for command, role, namespace in steps}
    for (role, namespace), granted in last.items():
        assert permits(state, role, namespace) == granted
