"""An admin is always left, and what was revoked comes back only by a decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.access.bootstrap import IdentitySpec, KeySpec, RoleSpec, Spec, commands
from services.registry.access.domain.commands import (
    AddMember,
    CreateIdentity,
    DisableIdentity,
    EnableIdentity,
    GrantRole,
    IssueKey,
    RemoveMember,
    RevokeKey,
    RevokeRole,
)
from shared.deciding.access import NO_ROLE, check, permits
from shared.deciding.decider import Forbidden, RuleBroken
from shared.deciding.submission import Permission
from tests.unit.registry.people import decide_all, house

A, B, C = "a" * 64, "b" * 64, "c" * 64
NOW = datetime(2026, 11, 29, tzinfo=UTC)
SPEC = Spec(
    [IdentitySpec("ann", "person", "Ann", [KeySpec("k1", "hmac-sha256", A)], [RoleSpec("admin", "*")])]
)
TWO = (
    CreateIdentity("ann", "person"),
    CreateIdentity("bob", "person"),
    GrantRole("ann", "admin", "*", "root"),
    GrantRole("bob", "admin", "*", "root"),
    IssueKey("ann", "k1", "hmac-sha256", A),
    IssueKey("bob", "k2", "hmac-sha256", B),
)


def refused(command, states) -> str:
    with pytest.raises(RuleBroken) as broken:
        decide_all(command, states)
    return broken.value.code


def test_an_admin_cannot_give_up_the_role_everywhere_even_if_others_have_it():
    states = house(*TWO)
    assert refused(RevokeRole("ann", "admin", "*", "ann"), states) == "own_admin_role"
    assert decide_all(RevokeRole("bob", "admin", "*", "ann"), states)["bob"]


def test_an_admin_of_a_namespace_may_give_that_up():
    states = house(CreateIdentity("ann", "person"), GrantRole("ann", "admin", "team", "root"))
    assert decide_all(RevokeRole("ann", "admin", "team", "ann"), states)["ann"]


def test_an_admin_with_a_second_grant_may_give_up_the_first():
    states = house(
        *TWO,
        CreateIdentity("admins", "group"),
        GrantRole("admins", "admin", "*", "bob"),
        AddMember("admins", "ann", "bob"),
    )
    assert decide_all(RevokeRole("ann", "admin", "*", "ann"), states)["ann"]


def test_an_admin_through_a_group_cannot_leave_it_nor_take_its_role():
    states = house(
        CreateIdentity("ann", "person"),
        CreateIdentity("admins", "group"),
        GrantRole("admins", "admin", "*", "root"),
        AddMember("admins", "ann", "root"),
    )
    assert refused(RemoveMember("admins", "ann", "ann"), states) == "own_admin_role"
    taking = RevokeRole("admins", "admin", "*", "ann", members=frozenset({"ann"}))
    assert refused(taking, states) == "own_admin_role"


def test_an_admin_cannot_revoke_the_own_last_api_key():
    states = house(
        *TWO,
        IssueKey("ann", "s1", "ed25519", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
    )
    assert refused(RevokeKey("ann", "k1", by="ann"), states) == "last_key"
    assert decide_all(RevokeKey("bob", "k2", by="ann"), states)["bob"]
    more = house(*TWO, IssueKey("ann", "k3", "hmac-sha256", C))
    assert decide_all(RevokeKey("ann", "k1", by="ann"), more)["ann"]


def test_an_expired_key_is_no_other_key():
    states = house(*TWO, IssueKey("ann", "k3", "hmac-sha256", C, NOW))
    assert refused(RevokeKey("ann", "k1", by="ann", now=NOW + timedelta(days=1)), states) == "last_key"


def test_an_identity_does_not_disable_itself():
    states = house(*TWO)
    assert refused(DisableIdentity("ann", "ann"), states) == "own_identity"
    assert decide_all(DisableIdentity("bob", "ann"), states)["bob"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob"]),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from(["role", "off", "key"]),
        ),
        max_size=6,
    )
)
def test_whatever_admins_do_to_each_other_one_who_can_act_is_left(steps):
    states = house(*TWO)
    for by, subject, what in steps:
        command = {
            "role": RevokeRole(subject, "admin", "*", by),
            "off": DisableIdentity(subject, by),
            "key": RevokeKey(subject, {"ann": "k1", "bob": "k2"}[subject], by=by),
        }[what]
        try:
            check(states[by], Permission("admin", ""), NOW)
            found = decide_all(command, states)
        except RuleBroken:
            continue
        states = _evolved(states, found)
    able = [subject for subject in ("ann", "bob") if _can_act(states[subject])]
    assert able


def _evolved(states, found):
    from shared.deciding.access import evolve_access  # noqa: PLC0415

    for subject, events in found.items():
        for event in events:
            states[subject] = evolve_access(states[subject], event)
    return states


def _can_act(state) -> bool:
    try:
        check(state, Permission("admin", ""), NOW)
    except Forbidden:
        return False
    return True


def test_bootstrap_grants_no_role_that_was_revoked():
    first = [*commands(SPEC)]
    states = house(*first, RevokeRole("ann", "admin", "*", "bob"), *first)
    assert not permits(states["ann"], "admin", "*")


def test_bootstrap_repeated_changes_nothing_and_a_role_granted_again_stays():
    first = [*commands(SPEC)]
    revisions = house(*first)["ann"].revision
    assert house(*first, *first)["ann"].revision == revisions
    again = house(
        *first, RevokeRole("ann", "admin", "*", "bob"), GrantRole("ann", "admin", "*", "bob"), *first
    )
    assert permits(again["ann"], "admin", "*")


def test_bootstrap_enables_no_identity_and_revives_no_key():
    first = [*commands(SPEC)]
    states = house(*first, RevokeKey("ann", "k1"), DisableIdentity("ann", "bob"), *first)
    assert (states["ann"].disabled, states["ann"].keys["k1"].revoked) == (True, True)


def test_a_disabled_identity_may_do_nothing_until_it_is_enabled():
    states = house(*TWO, DisableIdentity("bob", "ann"))
    for permission in (Permission("admin", ""), Permission(NO_ROLE)):
        with pytest.raises(Forbidden, match="identity_disabled"):
            check(states["bob"], permission, NOW)
    check(
        house(*TWO, DisableIdentity("bob", "ann"), EnableIdentity("bob"))["bob"], Permission("admin", ""), NOW
    )


@pytest.mark.parametrize(("kind", "code"), [("service", "service_identity"), ("group", "group_identity")])
def test_services_and_groups_are_not_disabled(kind, code):
    assert refused(DisableIdentity("x", "ann"), house(CreateIdentity("x", kind))) == code
