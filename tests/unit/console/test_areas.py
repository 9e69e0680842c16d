"""Which areas a person finds in the navigation, and which past of a page."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from services.console.areas import EVERY_ROLE, areas
from services.console.pages.review import REVIEW
from services.console.sessions import Session
from services.console.view import View
from shared.deciding.access import ROLES

from .console_at import CALLER, at


def view_of(*roles: tuple[str, str]) -> View:
    console, _ = at(lambda _: pytest.fail("nothing is requested"))
    caller: Any = CALLER | {"roles": [{"role": role, "namespace": where} for role, where in roles]}
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    return View(Request(scope), Session("rg_key", caller), console.calls())


def names(*roles: tuple[str, str]) -> set[str]:
    return {area.name for group in areas(view_of(*roles)) for area in group}


ALL = names(("admin", "*"))


@pytest.mark.parametrize(
    ("roles", "hidden"),
    [
        ([("auditor", "*")], set()),
        ([("auditor", "fraud")], {"Access"}),
        ([("engineer", "fraud")], {"Access"}),
        ([("approver", "fraud")], {"Access", "History"}),
        ([], ALL - {"Home", "Operations"}),
    ],
)
def test_a_person_finds_only_areas_that_open(roles: list[tuple[str, str]], hidden: set[str]) -> None:
    assert ALL - names(*roles) == hidden


@pytest.mark.parametrize(
    ("role", "offered"),
    [("auditor", True), ("engineer", True), ("publisher", True), ("admin", True), ("approver", False)],
)
def test_the_past_of_a_review_is_offered_to_who_reads_the_timeline(role: str, *, offered: bool) -> None:
    assert REVIEW.has_past(view_of((role, "fraud"))) is offered


def test_any_role_is_one_of_those_that_there_are() -> None:
    assert sorted(EVERY_ROLE) == sorted(ROLES)
