"""Verify that a service signed an event, with the public keys that the registry lists."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from regista.wire.cloudevents import CloudEvent, NotACloudEvent, utc
from regista.wire.dsse import BadSignature, key_id_of, verify
from regista.wire.event_feed import SERVICES

READ_AGAIN = 600.0
"""Seconds after which the keys are read again: one may have been declared compromised."""
AT_ONCE = 5.0
"""Seconds between two reads because of an unknown key."""


class ServiceKeys:
    """The keys of the services. `read` requests them."""

    def __init__(self, read: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]) -> None:
        self._read = read
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._read_at = float("-inf")

    async def check(self, event: CloudEvent, service: str = "") -> None:
        """Raise BadSignature unless a key of the event's service signed it, valid when it was recorded.

        `service` is the one that may send it where the place of the message states that.
        """
        key_id = key_id_of(event)
        age = time.monotonic() - self._read_at
        if age > READ_AGAIN or (key_id not in self._keys and age > AT_ONCE):
            self._keys = {str(key["kid"]): key for key in await self._read()}
            self._read_at = time.monotonic()
        key = self._keys.get(key_id)
        if key is None:
            raise BadSignature(f"no service has the key {key_id!r:.40}")
        claimed = event.source.removeprefix("/regista/")
        if claimed not in SERVICES or service not in {"", claimed} or key["subject"] != f"service:{claimed}":
            raise BadSignature(f"{key['subject']} may not send events of {event.source!r:.80}")
        if key.get("compromised"):
            raise BadSignature(f"the key {key_id} was revoked as compromised")
        if until := key.get("valid_until"):
            self._check_time(event, key_id, str(until))
        verify(event, bytes.fromhex(str(key["public_key"])))

    def _check_time(self, event: CloudEvent, key_id: str, until: str) -> None:
        try:
            recorded = datetime.fromisoformat(utc(event.extensions.get("recordedtime", "")))
        except NotACloudEvent:
            raise BadSignature("the event does not state when it was recorded") from None
        if recorded >= datetime.fromisoformat(utc(until)):
            raise BadSignature(f"the key {key_id} ended before the event was recorded")
