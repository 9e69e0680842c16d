"""The public events as a feed: positions and their cursors, and events as JSON (structured CloudEvents).

A position is the next offset of each partition of each service's topic. Its text, the cursor, is opaque to
callers; over HTTP and from Kafka it is the same.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from regista.wire.cloudevents import CORE, SPECVERSION, CloudEvent, NotACloudEvent, check

SERVICES = ("registry", "approval", "artifact", "cleanup")
"""The services that publish events."""
MOST_PARTITIONS = 1_000
LONGEST_CURSOR = 20_000

Partition = tuple[str, int]
"""A service and the number of a partition of its topic."""
Position = dict[Partition, int]
"""The next offset of each partition. A partition that is missing is read from its beginning."""


class BadCursor(ValueError):  # noqa: N818 - names what the text is
    """The text is no cursor of a feed of events."""


def topic_of(service: str) -> str:
    """Return the topic that the service publishes to."""
    return f"regista.{service}.events.v1"


def cursor_of(position: Mapping[Partition, int]) -> str:
    """Return the cursor of a position. Equal positions have one text."""
    offsets: dict[str, list[int]] = {}
    for (service, number), offset in sorted(position.items()):
        of_service = offsets.setdefault(service, [])
        of_service.extend([0] * (number - len(of_service)))
        of_service.append(offset)
    return base64.urlsafe_b64encode(msgspec.json.encode(offsets)).decode().rstrip("=")


def position_of(cursor: str) -> Position:
    """Return the position of a cursor. Raises BadCursor."""
    if len(cursor) > LONGEST_CURSOR:
        raise BadCursor("a cursor is not that long")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        offsets = msgspec.json.decode(raw, type=dict[str, list[int]])
    except (binascii.Error, ValueError) as e:
        raise BadCursor(f"{cursor!r:.60} is no cursor of a feed of events") from e
    for service, of_service in offsets.items():
        if service not in SERVICES or len(of_service) > MOST_PARTITIONS:
            raise BadCursor(f"{cursor!r:.60} is no cursor of a feed of events")
        if any(not 0 <= offset < 2**63 for offset in of_service):
            raise BadCursor(f"{cursor!r:.60} is no cursor of a feed of events")
    return {
        (service, number): offset
        for service, of_service in offsets.items()
        for number, offset in enumerate(of_service)
    }


def to_json(event: CloudEvent) -> bytes:
    """Return the event in the JSON format of CloudEvents, on one line.

    `data` is the last member and has the exact bytes that were signed. Raises NotACloudEvent for data that
    are not JSON on one line.
    """
    if b"\n" in event.data or b"\r" in event.data:
        raise NotACloudEvent("the data have line breaks")
    attributes: dict[str, Any] = {
        "specversion": SPECVERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.time,
        "datacontenttype": event.datacontenttype,
        "dataschema": event.dataschema,
        **event.extensions,
    }
    kept = {name: value for name, value in attributes.items() if value}
    return msgspec.json.encode(kept | {"data": msgspec.Raw(event.data)})


def from_json(raw: bytes) -> CloudEvent:
    """Return the event of its JSON form, with the exact bytes of its data. Raises NotACloudEvent."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        data = members.pop("data", None)
        texts = {name: msgspec.json.decode(value, type=str) for name, value in members.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise NotACloudEvent("no CloudEvent in JSON: its attributes are texts") from None
    if data is None or texts.pop("specversion", "") != SPECVERSION:
        raise NotACloudEvent("no CloudEvent 1.0 with data")
    named = {name: texts.pop(name, "") for name in ("id", "source", "type", "subject", "time")}
    event = CloudEvent(
        **named,
        data=bytes(data),
        datacontenttype=texts.pop("datacontenttype", ""),
        dataschema=texts.pop("dataschema", None),
        extensions={name: value for name, value in texts.items() if name not in CORE},
    )
    check(event)
    return event


def merged(first: Mapping[Partition, int], second: Mapping[Partition, int]) -> Position:
    """Return the position that is as far as the further of two in each partition."""
    return dict(first) | {at: max(offset, first.get(at, 0)) for at, offset in second.items()}


def is_behind(position: Mapping[Partition, int], other: Mapping[Partition, int]) -> bool:
    """Return whether the position is before the other in any partition."""
    return any(position.get(at, 0) < offset for at, offset in other.items())
