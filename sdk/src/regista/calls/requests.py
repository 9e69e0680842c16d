"""What all calls share: JSON requests, paged lists, references to versions, changes of a known revision."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, TypeVar, cast
from urllib.parse import quote

from regista.client.transport import Transport
from regista.errors import Invalid, RegistaError, Stale
from regista.html import DiffShown, VersionShown
from regista.shapes.registry import DiffAnswer, VersionAnswer
from regista.wire.names import may_exist

Json = dict[str, Any]
"""An answer of a service, or one object in it."""
PAGE = 200
T = TypeVar("T")
_SHOWN: Mapping[type, type[dict[str, Any]]] = {VersionAnswer: VersionShown, DiffAnswer: DiffShown}


class Requests:
    """Send requests to the services over one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _get(self, shape: type[T], service: str, path: str, **query: Any) -> T:
        """Return the answer, of which `shape` declares what it has. `model` is the name of a model."""
        model_alone(query.get("model") or "")
        body = (await self._transport.call("GET", service, path, query=query)).body
        return shaped(shape, body)

    async def _send(
        self,
        shape: type[T],
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        if_match: str = "",
        long: bool = False,
    ) -> T:
        """Return the answer, empty where it has no body. `long`: it may take minutes."""
        answer = await self._transport.call(
            method, service, path, query=query, body=body, if_match=if_match, long=long
        )
        return shaped(shape, answer.body or {})

    async def _delete(self, service: str, path: str, **query: Any) -> None:
        """Delete; the answer has no body."""
        await self._transport.call("DELETE", service, path, query=query)

    async def _change(
        self,
        shape: type[T],
        method: str,
        service: str,
        path: str,
        body: Any,
        expected: int | None,
        *,
        what: str,
        shown: Callable[[Json], str],
        read: str = "",
        query: Mapping[str, Any] | None = None,
    ) -> T:
        """Send a change of what `read` (else `path`) answers, valid only for the revision `expected`.

        With None the change is valid for any revision. `what` names the thing in the error, `shown`
        summarizes its present state. Raises Stale with the present state.
        """
        try:
            return await self._send(
                shape, method, service, path, body, query=query, if_match=if_match(expected)
            )
        except Stale as stale:
            present: Json = {}
            with contextlib.suppress(RegistaError):
                present = await self._get(Json, service, read or path)
            raise stale_state(stale, what, expected, present, shown) from None

    async def pages(
        self, service: str, path: str, limit: int | None = None, **query: Any
    ) -> AsyncIterator[Json]:
        """Yield the items of a list, page after page."""
        token, left = "", limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            answer = await self._get(Json, service, path, **query, page_size=size, page_token=token or None)
            for item in answer["items"][:left]:
                yield item
            left = None if left is None else left - len(answer["items"])
            token = answer.get("next_page_token") or ""
            if not token:
                return

    async def _all(
        self, shape: type[T], service: str, path: str, limit: int | None = None, **query: Any
    ) -> list[T]:
        """Return the items of a list, each of which has this shape."""
        return [shaped(shape, item) async for item in self.pages(service, path, limit, **query)]

    async def _items(self, shape: type[T], service: str, path: str, **query: Any) -> list[T]:
        """Return the items of a list that comes as a whole."""
        return [shaped(shape, item) for item in (await self._get(Json, service, path, **query))["items"]]

    async def _whole(self, shape: type[T], service: str, path: str, *lists: str) -> T:
        """Return one object with all items of its paged `lists`."""
        found = await self._get(Json, service, path, page_size=PAGE)
        while token := found.get("next_page_token"):
            more = await self._get(Json, service, path, page_size=PAGE, page_token=token)
            found |= {name: found[name] + more[name] for name in lists} | {
                "next_page_token": more.get("next_page_token")
            }
        return shaped(shape, found)


def shaped(shape: type[T], answer: Any) -> T:
    """Return a service's answer as what it declares. It is not checked: a newer service may add to it.

    A version and a diff are dictionaries that notebooks show as tables.
    """
    shown = _SHOWN.get(shape)
    return cast("T", shown(answer) if shown else answer)


def if_match(expected: int | None) -> str:
    """Return the If-Match header for a revision; None matches any."""
    return "*" if expected is None else f'"{expected}"'


def stale_state(
    stale: Stale, what: str, expected: int | None, present: Json, shown: Callable[[Json], str]
) -> Stale:
    """Return the error with the revision, the author and a summary of the present state."""
    revision = present.get("revision", stale.facts.get("revision"))
    if revision is None:
        return stale
    by = present.get("changed_by") or present.get("published_by")
    detail = f"{what} is at revision {revision}" + (f", changed by {by}" if by else "")
    detail += "" if expected is None else f"; the change was decided on revision {expected}"
    if present and (summary := shown(present)):
        detail += f". It is now: {summary}"
    error = Stale(
        stale.code,
        detail,
        advice=f"Look at the present state (`facts['present']`), then repeat with expected={revision}.",
        facts=stale.facts | {"expected": expected, "revision": revision, "present": present},
    )
    error.status = stale.status
    return error


def at(model: str, version: str = "") -> str:
    """Return the path of a model, or of one of its versions."""
    return f"/models/{in_path(model)}" + (f"/versions/{quote(version, safe='@')}" if version else "")


def in_path(model: str) -> str:
    """Return a model as one part of a path. Raises Invalid for one with a version."""
    return quote(model_alone(model), safe="")


def model_alone(name: str) -> str:
    """Return the name of a model. Raises Invalid for one with a version."""
    model, found, _ = name.partition("@")
    if found:
        detail = f"{name!r} names a version, and this takes a model"
        raise Invalid("no_model", detail, advice=f"Name the model: {model}.")
    return name


def model_and_version(reference: str) -> tuple[str, str]:
    """Split a reference: `model@3` into model and `3`, `model@1.2.0` into model and `1.2.0`.

    Any other name is an alias: `model@name` becomes model and `@name`. Raises Invalid.
    """
    model, found, version = reference.rpartition("@")
    if not found or not version or not may_exist(model):
        raise Invalid(
            "no_reference",
            f"{reference!r} names no version",
            advice="Write MODEL@VERSION, for example churn@3, churn@1.2.0, churn@production or churn@latest.",
        )
    return model, version if version[0].isdigit() else f"@{version}"


def moment(value: str | date | None) -> str | None:
    """Return a time or a day as services read it. A time without a zone is one of this machine's zone."""
    if isinstance(value, datetime):
        return value.astimezone().isoformat()
    return value.isoformat() if isinstance(value, date) else value


def tag_conditions(tags: Iterable[str] | Mapping[str, str]) -> list[str]:
    """Return tags as `NAME=VALUE`; a list is returned as it is."""
    return [f"{name}={value}" for name, value in tags.items()] if isinstance(tags, Mapping) else list(tags)


def given(**values: Any) -> Json:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def summary(*names: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function that lists these fields of an object as `name value, …`, without empty ones."""

    def shown(present: Mapping[str, Any]) -> str:
        found = ((name, present.get(name)) for name in names)
        shown = ((name, " and ".join(map(str, x)) if isinstance(x, list) else x) for name, x in found)
        return ", ".join(f"{name} {value}" for name, value in shown if value not in (None, "", {}))

    return shown
