"""What pages and acts get, and what they return."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.datastructures import URL
from starlette.requests import Request

from regista.errors import RegistaError
from services.console.as_of import PARAMETER
from services.console.calls import Calls
from services.console.forms import address_of, local_path
from services.console.sessions import Form, Session

if TYPE_CHECKING:
    from services.console.slider import Slider

OWN_ROLE_ONLY = frozenset({"override"})
"""Roles that an administrator does not have without a grant of their own."""
NAMES_FOR = 60.0
"""Seconds for which a name is not looked up again. An erased name disappears from pages after that."""
SOMEWHERE = "somewhere"
"""In place of a namespace: in any of them."""
OF_TIMELINES = ("auditor", "engineer", "publisher")
"""The roles with which a person reads the timelines of models: a publisher those of own versions."""
TYPED = ("reason", "comment", "conditions", "text")
"""The fields of forms that people write in."""
MOST_NAMES = 100
"""Subjects in one look-up."""


@dataclass(slots=True)
class View:
    """A request of a person who is signed in.

    `form` has the fields of an act, or those of one that was not carried out: `problem` states why, or
    `returned` that the person had to sign in first. `as_of` is the moment that the page is shown as of, in
    RFC 3339, or "" for now; `slider` moves it, where there is one. `has_past`: a page of now that services
    can state the past of, to this person. `address` is that of the page with its query: of the page of an
    act where the request sent a form.
    """

    request: Request
    session: Session
    calls: Calls
    form: Form = field(default_factory=dict)
    problem: RegistaError | None = None
    returned: bool = False
    as_of: str = ""
    slider: Slider | None = None
    has_past: bool = False
    address: str = ""

    @property
    def here(self) -> str:
        """The address of the page, for a link to it."""
        return self.address or address_of(self.request)

    @property
    def path(self) -> str:
        """The address of the page without its query, for a link to it."""
        return local_path(self.here.partition("?")[0])

    @property
    def now(self) -> str:
        """The address of the page as it is now."""
        return local_path(str(URL(self.here).remove_query_params([PARAMETER, "page"])))

    @property
    def typed(self) -> list[str]:
        """What was typed into a form that was not carried out: the page may not have the form any more."""
        if self.problem is None and not self.returned:
            return []
        return [value for name in TYPED for value in self.form.get(name, ()) if value.strip()]

    def param(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """Return a parameter of the URL, without spaces around it and of at most 500 characters."""
        return self.request.query_params.get(name, default).strip()[:500]

    def text(self, name: str) -> str:
        """Return a field of the form, or ""."""
        return (self.form.get(name) or [""])[0].strip()

    def texts(self, name: str) -> list[str]:
        """Return the values of a field, without empty ones."""
        return [one.strip() for one in self.form.get(name, []) if one.strip()]

    def number(self, name: str) -> int:
        """Return a field of digits; 0 for anything else."""
        found = self.text(name)
        return int(found) if found.isascii() and found.isdigit() and len(found) < 16 else 0

    def roles(self, namespace: str) -> frozenset[str]:
        """Return the roles of the person in a namespace: those of the namespaces above it, too."""
        return frozenset(
            held["role"]
            for held in self.session.caller["roles"]
            if held["namespace"] == "*"
            or namespace == held["namespace"]
            or namespace.startswith(held["namespace"] + ".")
        )

    def may(self, role: str, namespace: str) -> bool:
        """Return whether the person probably may do what needs the role. The service decides again."""
        held = self.roles(namespace)
        return role in held or ("admin" in held and role not in OWN_ROLE_ONLY)

    def may_as_one_of(self, roles: Iterable[str], where: str) -> bool:
        """Return whether the person probably may do what needs one of the roles there, or SOMEWHERE."""
        held = {one["namespace"] for one in self.session.caller["roles"]}
        return any(self.may(role, one) for role in roles for one in (held if where == SOMEWHERE else {where}))

    async def names(self, subjects: Iterable[Any]) -> Mapping[str, str | None]:
        """Return the names of people by subject: None for an erased one, nothing for one without a name."""
        now, known = time.monotonic(), self.session.names
        wanted = {s for s in subjects if isinstance(s, str) and s and not s.startswith("service:")}
        missing = sorted(s for s in wanted if s not in known or now - known[s][0] > NAMES_FOR)
        for at in range(0, len(missing), MOST_NAMES):
            asked = missing[at : at + MOST_NAMES]
            try:
                answer = await self.calls.get("registry", "/access/names", subjects=",".join(asked))
            except RegistaError:
                break  # ids are shown without names
            known.update({subject: (now, answer["names"].get(subject, subject)) for subject in asked})
        if len(known) > 5_000:
            known.clear()
        return {s: known[s][1] for s in wanted if s in known}


@dataclass(frozen=True, slots=True)
class Shown:
    """A page: its template with what it shows.

    `area` is the entry of the navigation that it belongs to, `cli` the command that shows the same. `live`
    are the topics of events after which the page is out of date: `model:<id>`, `review:<id>`, `any`.
    """

    template: str
    title: str
    area: str
    content: Mapping[str, Any] = field(default_factory=dict)
    cli: str = ""
    live: str = ""
    names: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """An act that was carried out: the page to go to, and what it reports."""

    to: str
    notice: str = ""


Show = Callable[[View], Awaitable[Shown]]
Do = Callable[[View], Awaitable[Done | Shown]]
"""An act that is only tried out, or whose result is shown this once, returns a page."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page at a path, written as in Starlette.

    `then` shows it as of the moment `as_of` of the view. It states why where no service can state it: the
    text follows “This page shows only what is so now”. `audited` is the namespace, or SOMEWHERE, in which a
    person must have a role of `auditors` to see it then; "" where everybody may who sees it now.
    """

    path: str
    show: Show
    then: Show | str = ""
    audited: str = ""
    auditors: tuple[str, ...] = ("auditor",)

    def has_past(self, view: View) -> bool:
        """Return whether the person can probably see the page as it was. The service decides again."""
        if isinstance(self.then, str):
            return False
        return not self.audited or view.may_as_one_of(self.auditors, self.audited)


@dataclass(frozen=True, slots=True)
class Act:
    """A change, sent by a form of the page `page`. When it is refused, the page shows why, with the form."""

    path: str
    do: Do
    page: Page


@dataclass(frozen=True, slots=True)
class Download:
    """A file at a path: `make` returns its name, which ends with .json, .csv or .zip, and its content."""

    path: str
    make: Callable[[View], Awaitable[tuple[str, bytes]]]
