"""Look up all by which people are recognised: names of the directory, and what the log links with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from shared.deciding.person import Person
from shared.identity import directory
from shared.identity.access_view import AccessView


async def recognised(pool: asyncpg.Pool, access: AccessView, names: Iterable[str]) -> dict[str, Person]:
    """Return all by which the people with these subjects, logins or names are recognised.

    Each has the names of all its identities, and their subjects and logins among its names. Every
    link that was recorded before the call counts.
    """
    wanted = set(names)
    await access.catch_up()
    linked = {name: access.identities.linked_with(name) for name in wanted}
    people = await directory.people(pool, wanted.union(*linked.values()))
    return {name: _joined(people[name], [people[other] for other in linked[name]]) for name in wanted}


def _joined(person: Person, others: Sequence[Person]) -> Person:
    if not others:
        return person
    names = (name for other in others for name in (other.subject, *other.names))
    erased = (name for other in others for name in other.erased)
    return Person(person.subject, (*person.names, *names), (*person.erased, *erased))
