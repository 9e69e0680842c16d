"""Who may decide: people who are independent of those who made or requested the version, and of each other.

Only a policy or an override, on the record, makes an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from shared.deciding.access import ACCESS, AccessState
from shared.deciding.access import stream_of as access_stream
from shared.deciding.appointments import appointments, issued_a_key
from shared.deciding.decider import Misrouted, RuleBroken, Streams
from shared.deciding.one_person import MOST, StateOf, logins, one_person, subjects_of_person
from shared.deciding.person import Person

MADE = "made this version or requested its promotion"
OVERRODE = "overrode, made or requested this promotion"
"""What those did who may not approve, and those who may not review an override."""
People = Mapping[str, Person]
"""All by which people are recognised, by the subject or name that the log has for them."""


def check_human(by: str, streams: Streams, what: str, machines: Mapping[str, str] | None = None) -> str:
    """Return why a machine may decide, "" for a person.

    Raise RuleBroken for any other machine, and for whom more is linked with than is looked at. `machines`:
    those that the policy names, and why. None where it can name none.
    """
    if len(subjects_of_person(by, partial(identity, streams=streams))) == MOST:
        raise RuleBroken(
            "not_independent", f"{MOST} identities or more are linked with {by}; ask another person"
        )
    kind = identity(by, streams).kind
    if kind == "person":
        return ""
    if machines and (why := machines.get(by)):
        return why
    named = ", or have the policy name this machine and the reason under `machines` of its manual gate"
    raise RuleBroken(
        "person_needed",
        f"{by} is a {kind or 'machine'}, and only people {what}: ask a person"
        + (named if machines is not None else ""),
    )


def check_no_maker(by: str, people: People, excluded: Iterable[str], streams: Streams, did: str) -> None:
    """Raise RuleBroken for one of the excluded people, by any identity, login or name, now or before."""
    if same := same_as(by, excluded, people, partial(identity, streams=streams)):
        raise RuleBroken("own_work", f"{by} {because_same(by, same, did)}; ask another approver to decide")


def same_as(by: str, others: Iterable[str], people: People, state_of: StateOf) -> str:
    """Return which of the others the person who has this identity is, by a link, a login or a name, or ""."""
    given = (*others,)
    mine = known_as(by, people, state_of)
    found = (other for other in given if any(me.is_same(person(people, other)) for me in mine))
    return by if by in given else next(found, "")


def because_same(by: str, same: str, did: str) -> str:
    """Return what a person did, or who it was that did it and is the same person."""
    return did if same == by else f"has the name of {same}, or is linked with {same}, who {did}"


def known_as(subject: str, people: People, state_of: StateOf) -> list[Person]:
    """Return the person as each identity and each login that the log links with this identity now."""
    identities = [person(people, one) for one in one_person(subject, state_of)]
    return [*identities, *(Person(login) for login in logins(subject, state_of))]


def check_not_appointed(by: str, people: People, excluded: Iterable[str], streams: Streams) -> None:
    """Raise RuleBroken when one of the excluded people created, granted or keyed the actor."""
    if len(appointments(by, partial(identity, streams=streams))) == MOST:
        raise RuleBroken(
            "not_independent", f"{MOST} identities or more appointed {by}; ask an approver with fewer"
        )
    if found := appointers(by, partial(identity, streams=streams), people, excluded):
        subject, how = found[0]
        raise RuleBroken(
            "not_independent",
            f"{subject} made this version or requested its promotion, and {how}; ask an approver whom they "
            "did not appoint, not through others either",
            appointed_by=subject,
        )


def appointers(of: str, state_of: StateOf, people: People, excluded: Iterable[str]) -> list[tuple[str, str]]:
    """Return which of the excluded people appointed the identity, at any distance, and how, in words."""
    others = [person(people, other) for other in excluded]
    return [
        (subject, how)
        for subject, how in appointments(of, state_of).items()
        if any(me.is_same(other) for me in known_as(subject, people, state_of) for other in others)
    ]


def check_distinct(
    by: str, people: People, approvals: Mapping[str, str], streams: Streams, *, dependent: bool
) -> None:
    """Raise RuleBroken when an earlier approver is the same person or has seen the other's key.

    `approvals`: the printed names of those who have approved, by subject. `dependent`: the policy accepts
    approvers who have seen each other's keys.
    """
    for other, printed in approvals.items():
        if _is_same(by, other, printed, people, streams):
            raise RuleBroken(
                "same_person",
                f"{by} has the name of {other}, or is linked with {other}, who has approved already; ask "
                "another person",
            )
        if not dependent:
            check_keys(by, other, streams, "approver")


def still_count(
    people: People, approvals: Mapping[str, str], excluded: Sequence[str], streams: Streams
) -> tuple[str, ...]:
    """Return the earlier approvers who count now: a link that was recorded since may show that one does not.

    `approvals`: their printed names, by subject. Of two who are one person, the first counts.
    """
    found: dict[str, str] = {}
    for by, printed in approvals.items():
        if same_as(by, excluded, people, partial(identity, streams=streams)):
            continue
        if not any(_is_same(by, other, name, people, streams) for other, name in found.items()):
            found[by] = printed
    return tuple(found)


def _is_same(by: str, other: str, printed: str, people: People, streams: Streams) -> bool:
    """Return whether the two are one person. `printed`: the name that the other signed with."""
    known = person(people, other)
    named = Person(other, (*known.names, printed), known.erased)
    return any(me.is_same(named) for me in known_as(by, people, partial(identity, streams=streams)))


def check_keys(by: str, other: str, streams: Streams, role: str) -> None:
    """Raise RuleBroken when one of the two has seen the other's key, or that of who issued it."""
    if issued := issued_a_key(by, other, partial(identity, streams=streams)):
        raise RuleBroken(
            "not_independent",
            f"{issued}, so both count as one; ask another {role}",
        )


def identity(subject: str, streams: Streams) -> AccessState:
    """Return an identity. Raises Misrouted when its stream was not looked up."""
    stream = access_stream(subject)
    if stream not in streams.states:
        raise Misrouted(
            "people_unknown", f"{subject} was not looked up; read again what you decide on, then repeat"
        )
    return streams.state(ACCESS, stream)


def person(people: People, name: str) -> Person:
    """Return all by which a person is recognised. Raises Misrouted when it was not looked up."""
    found = people.get(name)
    if found is None:
        raise Misrouted("people_unknown", f"{name} was not looked up; look the review up again, then repeat")
    return found
