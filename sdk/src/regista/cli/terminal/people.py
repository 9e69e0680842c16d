"""Show people by name: look up the names of subjects, and print them beside the ids.

Programs (`--json`) get the ids only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.session import Session

if TYPE_CHECKING:
    from regista.client.sync_client import Client

LOOK_UP = 3.0
"""Seconds for the names. What the other service answered is shown without them after that."""
_PERSON = re.compile(r"\bu-[0-9a-z]{16,20}\b")
"""The ids that the registry makes for people."""
Shown = Callable[[Any], str]


def naming(session: Session, client: Client, subjects: Iterable[Any]) -> Shown:
    """Return a function that shows a subject: `Ann Example (u-7k2m)`, or `u-7k2m (erased)`.

    A subject without a name is shown as it is; so are all when the names cannot be read.
    """
    from regista.client.patience import Patience, patience  # noqa: PLC0415
    from regista.errors import RegistaError  # noqa: PLC0415

    names: dict[str, str | None] = {}
    wanted = {str(s) for s in subjects if s and not str(s).startswith("service:")}
    if wanted and not session.json:
        try:
            with patience(Patience(attempts=1, total=LOOK_UP)):
                names = client.names(wanted)
        except RegistaError:
            names = {}

    def shown(subject: Any) -> str:
        id_ = str(subject or "")
        if id_ not in names or names[id_] == id_:
            return id_
        return f"{names[id_]} ({id_})" if names[id_] else f"{id_} (erased)"

    return shown


def with_names(session: Session, text: str) -> str:
    """Return a service's text with the names of the people whose ids it has, where they can be read."""
    from regista.errors import RegistaError  # noqa: PLC0415

    ids = people_in(text)
    if not ids or session.json:
        return text
    try:
        with session.client() as client:
            shown = naming(session, client, ids)
    except RegistaError:
        return text
    return named(text, shown)


def people_in(text: str) -> set[str]:
    """Return the ids of people that a text has."""
    return set(_PERSON.findall(text))


def named(text: str, shown: Shown) -> str:
    """Return a text with each person in it as they are shown."""
    return _PERSON.sub(lambda found: shown(found[0]), text)


def when(event: Mapping[str, Any]) -> str:
    """Return the time of an event, to the second."""
    return to_the_second(event.get("recorded_at"))


def actors(event: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the subjects that `who` shows."""
    actor = event.get("actor") or {}
    yield from (actor.get("subject"), actor.get("on_behalf_of"))


def who(event: Mapping[str, Any], shown: Shown) -> str:
    """Return the actor of an event, and the person the actor acted for."""
    subject, behalf = actors(event) if event.get("actor") else ("", "")
    return shown(subject) + (f" for {shown(behalf)}" if behalf else "")


def warn_of_faults(events: Iterable[Mapping[str, Any]]) -> None:
    """Print on stderr each event that cannot be believed, and why."""
    for event in events:
        if fault := event.get("fault"):
            text = f"do not believe {event.get('stream')} {event.get('revision')}: {fault}"
            say(text, fg="red", err=True)


def check_known(client: Client, person: str) -> None:
    """Raise NotFound unless an identity has this name or subject, as far as the caller may list them."""
    from regista.errors import Forbidden, NotFound  # noqa: PLC0415

    try:
        known = any(one["subject"] == person for one in client.identities())
    except Forbidden:
        return
    if not known:
        raise NotFound(
            "unknown_identity",
            f"no identity is called {person!r} now, and none is {person!r}",
            advice="`regista access identity list` lists them. A name that was corrected or erased finds "
            "nothing: name the identity (u-…), as approvals and timelines show it.",
        )
