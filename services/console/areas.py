"""The areas of the navigation, and who finds each one there: a person who would only be refused does not."""

from __future__ import annotations

from dataclasses import dataclass

from services.console.view import View

ANYWHERE = ""
"""A role in any namespace is enough."""


@dataclass(frozen=True, slots=True)
class Area:
    """An entry of the navigation. `key` opens it after g.

    `roles` are those of which a person needs one, in the namespace `where`; none: everybody may open it.
    """

    name: str
    href: str
    key: str
    roles: tuple[str, ...] = ()
    where: str = ANYWHERE


EVERY_ROLE = ("admin", "approver", "auditor", "engineer", "override", "publisher")
AREAS = (
    (
        Area("Home", "/", "h"),
        Area("Models", "/models", "m", EVERY_ROLE),
        Area("Reviews", "/reviews", "r", EVERY_ROLE),
        Area("Rollouts", "/rollouts", "o", EVERY_ROLE),
        Area("Data sets", "/data-sets", "d", EVERY_ROLE),
        Area("History", "/history", "t", ("auditor", "engineer", "publisher")),
        Area("Cleanup", "/cleanup", "c", EVERY_ROLE),
    ),
    (
        Area("Policies", "/policies", "p", EVERY_ROLE),
        Area("Access", "/access", "a", ("auditor",), "*"),
        Area("Operations", "/operations", "s"),
    ),
)


def areas(view: View) -> list[list[Area]]:
    """Return the entries of the navigation for the person, in its two groups."""
    return [[area for area in group if _is_open(area, view)] for group in AREAS]


def _is_open(area: Area, view: View) -> bool:
    if not area.roles:
        return True
    wheres = [area.where] if area.where else {held["namespace"] for held in view.session.caller["roles"]}
    return any(view.may(role, where) for role in area.roles for where in wheres)
