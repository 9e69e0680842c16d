"""Which identities and logins are linked, and who decides so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.registry.access.domain.commands import CreateIdentity
from services.registry.access.domain.identities import decide_creation
from services.registry.access.domain.links import (
    MOST_LINKS,
    LinkIdentity,
    OfLink,
    UnlinkIdentity,
    decide_link,
    subjects_of,
)
from shared.deciding.access import AccessState, IdentityCreated, evolve_access, stream_of
from shared.deciding.appointments import appointments, issued_a_key
from shared.deciding.decider import Misrouted, NotFound, RuleBroken, Streams
from shared.deciding.links import IdentityLinked, IdentityUnlinked, Links, subject_of_login
from shared.deciding.one_person import MOST, logins, one_person, subjects_of_person
from shared.identity.identities import Identities
from tests.unit.registry.people import States, house

PEOPLE = tuple(
    CreateIdentity(subject, kind, "root")
    for subject, kind in {
        "ann": "person",
        "u-1": "person",
        "u-2": "person",
        "bot": "publisher",
        "board": "group",
        "registry": "service",
    }.items()
)
LINK = LinkIdentity("u-1", "ann", "root")
BY_LOGIN = LinkIdentity("u-1", "octocat", "root", login=True)
UNLINK = UnlinkIdentity("u-1", "ann", "root")
OCTOCAT = subject_of_login("octocat")
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def known(states: States) -> Callable[[str], AccessState]:
    """The identity or login of a subject."""
    return lambda subject: states.get(subject, AccessState())


def events_of(command: OfLink, states: States) -> dict[str, list[object]]:
    """The events by subject. The whole person is looked up, as the endpoint does it."""
    wanted = {one for subject in subjects_of(command) for one in subjects_of_person(subject, known(states))}
    streams = Streams({stream_of(one): known(states)(one) for one in wanted})
    decided = decide_link(command, streams)
    return {stream.removeprefix("access-"): list(events) for stream, events in decided.items()}


def after(*commands: OfLink) -> States:
    states = house(*PEOPLE)
    for command in commands:
        for subject, events in events_of(command, states).items():
            for event in events:
                states[subject] = evolve_access(known(states)(subject), event)  # type: ignore[arg-type]
    return states


def test_a_link_stands_in_the_streams_of_both_identities():
    assert events_of(LINK, house(*PEOPLE)) == {
        "u-1": [IdentityLinked("u-1", "ann", "root")],
        "ann": [IdentityLinked("ann", "u-1", "root")],
    }


def test_a_link_with_a_login_stands_in_the_streams_of_the_identity_and_of_the_login():
    assert events_of(BY_LOGIN, house(*PEOPLE)) == {
        "u-1": [IdentityLinked("u-1", "octocat", "root", login=True)],
        OCTOCAT: [IdentityLinked(OCTOCAT, "u-1", "root")],
    }


def test_a_link_that_stands_in_one_stream_only_is_completed():
    """As links with a login were recorded before logins had streams."""
    states = after(BY_LOGIN)
    del states[OCTOCAT]
    assert events_of(BY_LOGIN, states) == {OCTOCAT: [IdentityLinked(OCTOCAT, "u-1", "root")]}


@pytest.mark.parametrize(
    "command",
    [LINK, replace(LINK, subject="ann", other="u-1"), BY_LOGIN, replace(BY_LOGIN, other="\u200bOctoCat")],
)
def test_what_is_linked_already_is_not_linked_again(command: LinkIdentity):
    assert events_of(command, after(LINK, BY_LOGIN)) == {}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (replace(LINK, other="u-1"), "same_identity"),
        (replace(LINK, other="no-one"), "unknown_identity"),
        (replace(LINK, other="board"), "not_linkable"),
        (replace(LINK, subject="registry"), "not_linkable"),
        (replace(LINK, other=""), "invalid_link"),
        (replace(BY_LOGIN, other="octo\ncat"), "invalid_link"),
        (replace(BY_LOGIN, other="\u200b"), "invalid_link"),
        (replace(BY_LOGIN, called=("Octocat",)), "login_is_identity"),
    ],
)
def test_only_identities_of_people_are_linked(command: LinkIdentity, code: str):
    with pytest.raises(RuleBroken, match=code):
        events_of(command, house(*PEOPLE))


def test_an_identity_has_a_limited_number_of_links():
    many = [replace(BY_LOGIN, other=f"login-{n}") for n in range(MOST_LINKS)]
    with pytest.raises(RuleBroken, match="too_many_links"):
        events_of(LINK, after(*many))
    assert events_of(many[0], after(*many)) == {}


def test_a_login_has_a_limited_number_of_links():
    users = [CreateIdentity(f"user-{n}", "person", "root") for n in range(MOST_LINKS + 1)]
    links = [replace(BY_LOGIN, subject=user.subject) for user in users]
    states = house(*users)
    for link in links[:-1]:
        for subject, events in events_of(link, states).items():
            for event in events:
                states[subject] = evolve_access(known(states)(subject), event)  # type: ignore[arg-type]
    with pytest.raises(RuleBroken, match="The login 'octocat' has 10 links"):
        events_of(links[-1], states)


def test_unlinking_is_recorded_in_both_streams():
    assert events_of(UNLINK, after(LINK)) == {
        "u-1": [IdentityUnlinked("u-1", "ann", "root")],
        "ann": [IdentityUnlinked("ann", "u-1", "root")],
    }
    assert after(LINK, UNLINK)["ann"].links == Links()
    gone = after(BY_LOGIN, replace(UNLINK, other="OCTOCAT", login=True))
    assert gone["u-1"].links == gone[OCTOCAT].links == Links()


@pytest.mark.parametrize(
    "unlink", [UNLINK, replace(UNLINK, other="octocat"), replace(UNLINK, other="ann", login=True)]
)
def test_what_is_not_linked_is_not_unlinked(unlink: UnlinkIdentity):
    with pytest.raises(NotFound, match="unknown_link"):
        events_of(unlink, after(BY_LOGIN) if unlink is not UNLINK else after())


@pytest.mark.parametrize("mine", [{"by": "u-1"}, {"by": "ann"}, {"own": frozenset({"ann"})}, {"by": "u-2"}])
def test_who_would_count_as_two_people_does_not_unlink(mine: dict[str, object]):
    """u-2 is linked with u-1, too, so ann, u-1 and u-2 are one person."""
    states = after(LINK, LinkIdentity("u-1", "u-2", "root"))
    with pytest.raises(RuleBroken, match="own_identity: You count as one of them"):
        events_of(replace(UNLINK, **mine), states)  # type: ignore[arg-type]


def test_who_shares_a_login_with_one_of_the_two_does_not_unlink():
    states = after(LINK, BY_LOGIN, replace(BY_LOGIN, subject="u-2"))
    with pytest.raises(RuleBroken, match="own_identity"):
        events_of(replace(UNLINK, by="u-2"), states)


def test_who_has_as_many_identities_as_are_looked_at_does_not_unlink():
    """One of the two may be among those that were not looked at."""
    own = frozenset(f"mine-{n}" for n in range(MOST))
    with pytest.raises(RuleBroken, match="not_independent: 500 identities and logins or more"):
        events_of(replace(UNLINK, own=own), after(LINK))


def test_a_link_that_came_after_the_look_up_is_looked_up_again():
    states = after(LINK, LinkIdentity("ann", "u-2", "root"))
    streams = Streams({stream_of(one): states[one] for one in ("u-1", "ann")})
    with pytest.raises(Misrouted, match="u-2 was linked in the meantime"):
        decide_link(UNLINK, streams)


def test_no_identity_has_the_subject_of_a_linked_login():
    """Jobs would name both by it. A creation that is repeated stays without effect."""
    states = after(BY_LOGIN)
    create = CreateIdentity("OctoCat", "person", "root")
    stream, of_login = stream_of("OctoCat"), stream_of(OCTOCAT)
    with pytest.raises(RuleBroken, match="subject_is_login: OctoCat is a login of u-1"):
        decide_creation(create, Streams({stream: AccessState(), of_login: states[OCTOCAT]}))
    made = decide_creation(create, Streams({stream: AccessState(), of_login: AccessState()}))
    assert made == {stream: [IdentityCreated("OctoCat", "person", "root")]}
    there = AccessState("OctoCat", "person")
    assert decide_creation(create, Streams({stream: there, of_login: states[OCTOCAT]})) == {stream: []}


def test_identities_that_share_a_login_are_one_person_at_any_distance():
    shared = (BY_LOGIN, LinkIdentity("u-2", "OCTOCAT", "root", login=True))
    states = after(
        *shared, LinkIdentity("u-2", "hubber", "root", True), LinkIdentity("bot", "hubber", "root", True)
    )
    for one in ("u-1", "u-2", "bot"):
        assert sorted(one_person(one, known(states))) == ["bot", "u-1", "u-2"]
        assert logins(one, known(states)) == ["OCTOCAT", "hubber", "octocat"]


def test_a_person_has_all_identities_at_any_distance_and_their_logins():
    states = after(LINK, LinkIdentity("ann", "bot", "root"), BY_LOGIN)
    for one in ("u-1", "ann", "bot"):
        assert sorted(one_person(one, known(states))) == ["ann", "bot", "u-1"]
        assert logins(one, known(states)) == ["octocat"]
    assert one_person("u-2", known(states)) == ["u-2"]


def test_who_appointed_one_identity_appointed_the_person():
    states = house(*PEOPLE[:3], CreateIdentity("bot", "publisher", "u-2"))
    states["bot"] = evolve_access(states["bot"], IdentityLinked("bot", "u-1", "root"))
    states["u-1"] = evolve_access(states["u-1"], IdentityLinked("u-1", "bot", "root"))
    assert appointments("u-1", known(states)) == {
        "root": "created u-1",
        "u-2": "created bot, linked with u-1",
    }
    assert appointments("u-2", known(states)) == {"root": "created u-2"}
    assert issued_a_key("u-1", "u-2", known(states)) == ""


def test_the_identities_of_one_person_that_are_looked_at_are_limited():
    endless = lambda subject: AccessState(links=Links(frozenset({f"{subject}x"})))  # noqa: E731 - a chain
    assert len(one_person("u", endless)) == MOST


def test_everyone_in_memory_is_found_by_identity_and_by_login():
    identities = Identities("pepper")
    links = (("u-1", "ann", False), ("ann", "u-1", False), ("ann", "Octocat", True), (OCTOCAT, "ann", False))
    for subject, other, login in links:
        identities.apply(IdentityLinked(subject, other, "root", login), NOW)
    assert identities.linked_with("u-1") == ["Octocat", "ann"]
    assert identities.linked_with("octocat") == ["Octocat", "ann", "u-1"]
    assert identities.linked_with("u-2") == []
    identities.apply(IdentityUnlinked("ann", "Octocat", "root", login=True), NOW)
    identities.apply(IdentityUnlinked(OCTOCAT, "ann", "root"), NOW)
    assert identities.linked_with("octocat") == []
    assert identities.linked_with("u-1") == ["ann"]
