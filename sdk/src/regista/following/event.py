"""A public event as programs get it, and what they ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from regista.errors import Invalid
from regista.wire.cloudevents import CloudEvent, NotACloudEvent, utc
from regista.wire.event_feed import BadCursor, cursor_of, position_of, to_json
from regista.wire.event_types import name_of, problem_of_type

_NOWHERE = cursor_of({})
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Event:
    """A public event whose signature was verified.

    `type` is its name, for example `VersionPromoted`; `data` are described by schemas/public. Events of one
    `stream` come in the order of their `revision`. `cursor` is the position behind the event. An event may
    come again: its `id` is then the same. `signed` is the message as its service signed it.
    """

    id: str
    type: str
    service: str
    stream: str
    revision: int
    recorded_at: datetime
    data: Mapping[str, Any]
    cursor: str
    signed: CloudEvent = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the event in the JSON format of CloudEvents, with `cursor` beside it."""
        return {"cursor": self.cursor, **msgspec.json.decode(to_json(self.signed))}


def read_event(signed: CloudEvent, cursor: str) -> Event:
    """Return the event of a verified message. Raises NotACloudEvent."""
    try:
        data = msgspec.json.decode(signed.data, type=dict[str, Any])
        revision = int(signed.extensions["revision"])
        recorded = datetime.fromisoformat(utc(signed.extensions["recordedtime"]))
    except (msgspec.MsgspecError, KeyError, ValueError) as e:
        raise NotACloudEvent(f"no event of a service ({type(e).__name__})") from None
    return Event(
        signed.id,
        name_of(signed.type),
        signed.source.removeprefix("/regista/"),
        signed.subject,
        revision,
        recorded,
        data,
        cursor,
        signed,
    )


@dataclass(frozen=True, slots=True)
class Selection:
    """What a reader wants. `cursor` and `since` are where to begin, "" and None for the present.

    `model` is a name or id; `model_id` its id, where it is known.
    """

    cursor: str = ""
    since: datetime | None = None
    model: str = ""
    namespace: str = ""
    types: frozenset[str] = frozenset()
    follow: bool = True
    model_id: str = ""

    def query(self) -> dict[str, Any]:
        """Return the parameters of the request over HTTP."""
        given = {
            "since": self.since.isoformat() if self.since else "",
            "model": self.model,
            "namespace": self.namespace,
            "type": ",".join(sorted(self.types)),
        }
        return {name: value for name, value in given.items() if value} | {"follow": self.follow}

    def includes(self, event: Event) -> bool:
        """Return whether the event was asked for, as far as the event itself states it.

        Over HTTP the service decides: it has the models of events that do not name one, and present names.
        """
        return (
            (self.since is None or event.recorded_at >= self.since)
            and (not self.types or event.type in self.types)
            and (
                not self.model
                or not _models(event.data).isdisjoint({self.model, self.model_id or self.model})
            )
            and (not self.namespace or any(_within(self.namespace, one) for one in _namespaces(event.data)))
        )


def _models(data: Mapping[str, Any]) -> set[str]:
    found = {
        str(data[name]) for name in ("model", "model_id", "child_model", "child_model_id") if name in data
    }
    inner = [one for name in ("versions", "others") for one in data.get(name) or () if isinstance(one, dict)]
    return (
        found
        | {str(one.get("model_id")) for one in inner}
        | {str(one) for one in data.get("model_ids") or ()}
    )


def _namespaces(data: Mapping[str, Any]) -> list[str]:
    own = [str(data["namespace"])] if "namespace" in data else []
    return [*own, str(data["model"]).rpartition(".")[0]] if "model" in data else own


def _within(outer: str, namespace: str) -> bool:
    return namespace == outer or namespace.startswith(f"{outer}.")


def where_to_begin(since: datetime | str | None) -> tuple[str, datetime | None]:
    """Return the cursor and the time that `since` means: a cursor, a time in RFC 3339, or a day in UTC.

    Raises Invalid.
    """
    if since is None or isinstance(since, datetime):
        if since is not None and since.tzinfo is None:
            raise Invalid("no_time_zone", f"{since} has no time zone", advice="Write it with its zone.")
        return "", since
    if not re.match(_DAY, since):
        return since, None
    try:
        if _DAY.fullmatch(since):
            return "", datetime.combine(datetime.fromisoformat(since).date(), time.min, UTC)
        return "", datetime.fromisoformat(utc(since))
    except ValueError as e:
        raise Invalid(
            "no_time",
            f"{since!r} is no time: {e}",
            advice="Write RFC 3339, for example 2026-03-01T12:00:00Z, or a day, for example 2026-03-01.",
        ) from None


def selection(
    since: datetime | str | None, model: str | None, namespace: str | None, types: Any, *, follow: bool
) -> Selection:
    """Return what a caller wants. Raises Invalid for a cursor, time or type that there is not."""
    listed = [types] if isinstance(types, str) else list(types)
    named = [part.strip() for one in listed for part in one.split(",") if part.strip()]
    if wrong := [problem for one in named if (problem := problem_of_type(one))]:
        raise Invalid(
            "unknown_event_type",
            "; ".join(wrong),
            advice="docs/events.md and schemas/public list the types.",
        )
    cursor, moment = where_to_begin(since)
    try:
        position_of(cursor or _NOWHERE)
    except BadCursor as bad:
        raise Invalid(
            "invalid_cursor", str(bad), advice="Pass the `cursor` of an event, or a time, or a day."
        ) from None
    return Selection(
        cursor, moment, model or "", namespace or "", frozenset(map(name_of, named)), follow=follow
    )
