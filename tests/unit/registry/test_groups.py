"""Groups: a member has the roles of its groups, in its own stream."""

from __future__ import annotations

import pytest

from services.registry.access.domain.commands import (
    AddMember,
    CreateIdentity,
    GrantRole,
    IssueKey,
    RemoveMember,
    RevokeRole,
)
from services.registry.access.domain.roles import MOST_MEMBERS, decide_roles
from shared.deciding.access import RoleGranted, RoleRevoked, permits, stream_of
from shared.deciding.decider import Misrouted, NotFound, RuleBroken, Streams
from tests.unit.registry.people import decide_all, house

GROUP = (CreateIdentity("board", "group"), CreateIdentity("ann", "person"), CreateIdentity("bob", "person"))
ANN = frozenset({"ann"})


def refused(command, states) -> str:
    with pytest.raises(RuleBroken) as broken:
        decide_all(command, states)
    return broken.value.code


def test_a_member_gets_the_roles_that_the_group_has_and_those_it_gets_later():
    states = house(
        *GROUP,
        GrantRole("board", "approver", "fraud", "root"),
        AddMember("board", "ann", "root"),
        GrantRole("board", "auditor", "fraud", "root", members=ANN),
    )
    assert permits(states["ann"], "approver", "fraud.cards")
    assert permits(states["ann"], "auditor", "fraud")
    assert not permits(states["bob"], "approver", "fraud")


def test_who_leaves_a_group_loses_its_roles_and_keeps_own_ones():
    states = house(
        *GROUP,
        GrantRole("board", "approver", "fraud", "root"),
        GrantRole("ann", "approver", "fraud", "root"),
        GrantRole("ann", "engineer", "fraud", "root"),
        AddMember("board", "ann", "root"),
        RemoveMember("board", "ann", "root"),
    )
    assert permits(states["ann"], "approver", "fraud")
    assert not [g for g in states["ann"].grants.values() if g.group]
    assert not states["board"].members


def test_a_role_taken_from_the_group_is_taken_from_its_members():
    states = house(*GROUP, GrantRole("board", "approver", "fraud", "root"), AddMember("board", "ann", "root"))
    events = decide_all(RevokeRole("board", "approver", "fraud", "root", members=ANN), states)
    assert events == {
        "board": [RoleRevoked("board", "approver", "fraud")],
        "ann": [RoleRevoked("ann", "approver", "fraud", "board")],
    }


def test_two_groups_with_one_role_count_once_each():
    states = house(
        *GROUP,
        CreateIdentity("second", "group"),
        GrantRole("board", "approver", "fraud", "root"),
        GrantRole("second", "approver", "fraud", "root"),
        AddMember("board", "ann", "root"),
        AddMember("second", "ann", "root"),
        RemoveMember("board", "ann", "root"),
    )
    assert permits(states["ann"], "approver", "fraud")


def test_repeating_changes_nothing():
    states = house(*GROUP, GrantRole("board", "approver", "fraud", "root"), AddMember("board", "ann", "root"))
    for command in (
        AddMember("board", "ann", "root"),
        GrantRole("board", "approver", "fraud", "root", members=ANN),
        RemoveMember("board", "bob", "root"),
        RevokeRole("board", "auditor", "fraud", "root", members=ANN),
    ):
        assert decide_all(command, states) == {}


def test_a_role_held_through_a_group_is_not_revoked_from_the_member_alone():
    states = house(*GROUP, GrantRole("board", "approver", "fraud", "root"), AddMember("board", "ann", "root"))
    assert refused(RevokeRole("ann", "approver", "fraud", "root"), states) == "role_of_group"


def test_no_caller_gets_a_role_by_their_own_hand_through_a_group():
    states = house(*GROUP, AddMember("board", "bob", "root"))
    assert refused(AddMember("board", "ann", "ann"), states) == "own_role"
    assert (
        refused(GrantRole("board", "approver", "x", "bob", members=frozenset({"bob"})), states) == "own_role"
    )


@pytest.mark.parametrize("kind", ["service", "group"])
def test_only_people_and_publishers_are_members(kind):
    states = house(*GROUP, CreateIdentity("x", kind))
    assert refused(AddMember("board", "x", "root"), states) == "no_member"


def test_only_a_group_has_members_and_only_identities_join():
    states = house(*GROUP)
    assert refused(AddMember("ann", "bob", "root"), states) == "no_group"
    with pytest.raises(NotFound):
        decide_all(AddMember("board", "zoe", "root"), states)


def test_a_group_has_no_key():
    assert refused(IssueKey("board", "k", "hmac-sha256", "a" * 64), house(*GROUP)) == "group_key"


def test_a_group_is_bounded():
    crowd = [CreateIdentity(f"p{n}", "person") for n in range(MOST_MEMBERS + 1)]
    joined = [AddMember("board", f"p{n}", "root") for n in range(MOST_MEMBERS)]
    states = house(*GROUP, *crowd, *joined)
    assert refused(AddMember("board", f"p{MOST_MEMBERS}", "root"), states) == "group_full"


def test_a_change_of_members_meanwhile_sends_the_command_back():
    states = house(*GROUP, AddMember("board", "ann", "root"))
    of_streams = Streams({stream_of(subject): state for subject, state in states.items()})
    with pytest.raises(Misrouted):
        decide_roles(GrantRole("board", "approver", "fraud", "root"), of_streams)
    found = decide_roles(GrantRole("board", "approver", "fraud", "root", members=ANN), of_streams)
    assert found[stream_of("ann")] == [RoleGranted("ann", "approver", "fraud", "board", "root")]


def test_bootstrap_repeated_changes_nothing_of_a_group_that_has_members():
    first = GrantRole("board", "approver", "fraud", "root", bootstrap=True)
    states = house(*GROUP, first, AddMember("board", "ann", "root"))
    assert decide_all(first, states) == {}
    revoked = house(
        *GROUP,
        first,
        AddMember("board", "ann", "root"),
        RevokeRole("board", "approver", "fraud", "root", members=ANN),
    )
    assert decide_all(first, revoked) == {}
