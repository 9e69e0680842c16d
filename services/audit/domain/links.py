"""Find in stored events which identities and logins are of one person. Pure.

It shares no code with the services' rule (shared/deciding/one_person.py): each would show a fault of the
other. Only the subject of a login's stream is the same function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.deciding.links import subject_of_login

Event = dict[str, Any]
Identities = Mapping[str, Sequence[Event]]
"""The events of the stream of each identity and of each login, by subject."""
Link = tuple[str, bool]
"""What is linked, and whether that is a login."""


UNSEALED = 2**63
"""The position of an event that is not sealed yet: behind all that are."""


def position(event: Event) -> int:
    """Return where an event is in the log's order, which no clock that was set back changes: its leaf."""
    leaf: int | None = event["leaf_index"]
    return UNSEALED if leaf is None else leaf


def links_of(events: Iterable[Event]) -> dict[Link, Event]:
    """Return what is linked directly after these events of one stream, each with the event that linked it."""
    held: dict[Link, Event] = {}
    for event in events:
        link = str(event["data"].get("other")), bool(event["data"].get("login"))
        if event["type"] == "IdentityLinked":
            held[link] = event
        elif event["type"] == "IdentityUnlinked":
            held.pop(link, None)
    return held


def linked(
    who: str, identities: Identities, until: int | None = None, *, by_logins: bool = True
) -> list[str]:
    """Return the other identities and the logins of this identity's person until a position, at any distance.

    `by_logins`: identities that share a login are one person.
    """
    reached, names = [who], dict[str, None]()
    for current in reached:
        stream = identities.get(current, ())
        for other, is_login in links_of(e for e in stream if until is None or position(e) <= until):
            names[other] = None
            further = streams_subject(other, is_login=is_login)
            if further not in reached and (by_logins or not is_login):
                reached.append(further)
    return [name for name in names if name != who]


def streams_subject(other: str, *, is_login: bool) -> str:
    """Return the subject whose stream has what is linked with an identity or a login."""
    return subject_of_login(other) if is_login else other


def ever_linked(events: Iterable[Event]) -> set[str]:
    """Return the subjects of the streams to which links lead, or led, from this one."""
    data = [e["data"] for e in events if e["type"] == "IdentityLinked"]
    return {streams_subject(str(d.get("other")), is_login=bool(d.get("login"))) for d in data}
