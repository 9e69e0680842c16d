"""The areas of the navigation, and who finds each one there: a person who would only be refused does not."""

from __future__ import annotations

from dataclasses import dataclass

from services.console.view import OF_TIMELINES, SOMEWHERE, View


@dataclass(frozen=True, slots=True)
class Area:
    """An entry of the navigation. `key` opens it after g.

    `roles` are those of which a person needs one, in the namespace `where` or SOMEWHERE; none: everybody may
    open it.
    """

    name: str
    href: str
    key: str
    roles: tuple[str, ...] = ()
    where: str = SOMEWHERE


EVERY_ROLE = ("admin", "approver", "auditor", "engineer", "override", "publisher")
AREAS = (
    (
        Area("Home", "/", "h"),
        Area("Models", "/models", "m", EVERY_ROLE),
        Area("Reviews", "/reviews", "r", EVERY_ROLE),
        Area("Rollouts", "/rollouts", "o", EVERY_ROLE),
        Area("Data sets", "/data-sets", "d", EVERY_ROLE),
        Area("History", "/history", "t", OF_TIMELINES),
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
    return not area.roles or view.may_as_one_of(area.roles, area.where)
