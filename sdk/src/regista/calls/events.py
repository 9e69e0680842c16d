"""Public events: what happens to models, as it happens. Each event's signature is verified."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from regista.calls.access import AccessCalls
from regista.calls.models import ModelCalls
from regista.calls.requests import model_alone
from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.following.bookmark import Bookmark
from regista.following.event import Event, read_event, selection
from regista.following.keys import ServiceKeys
from regista.following.over_http import over_http
from regista.following.over_kafka import over_kafka
from regista.wire.cloudevents import CloudEvent, NotACloudEvent
from regista.wire.dsse import BadSignature

log = logging.getLogger("regista")


class EventCalls(ModelCalls, AccessCalls):
    """Follow the public events."""

    profile: Profile
    _patience: Patience

    async def events(
        self,
        *,
        since: datetime | str | None = None,
        model: str | None = None,
        namespace: str | None = None,
        types: Sequence[str] | str = (),
        bookmark: str | Path | None = None,
        follow: bool = True,
        via: str = "",
    ) -> AsyncGenerator[Event]:
        """Yield the public events that you may read: of a model, a namespace, some types, or all.

        They begin at the present, at `since` (a time, a day in UTC, or the `cursor` of an event: behind it),
        or where the file `bookmark` ended, if it exists. Without `follow` they end at the present. Events of
        one stream come in order, each at least once; after an interruption the connection is opened again
        where it ended. The bookmark moves behind an event when the next one is asked for, so an event whose
        handling failed comes again.

        `via`: "http", or "kafka" with the Kafka user of a reader, which shows the events of all namespaces;
        by default Kafka where it is configured without a signing key. Raises RegistaError.
        """
        model_alone(model or "")
        asked = selection(since, model, namespace, types, follow=follow)
        kept = None if bookmark is None else Bookmark(Path(bookmark), self.profile.need("url"))
        if kept is not None and (cursor := await asyncio.to_thread(kept.load)):
            asked = replace(asked, cursor=cursor, since=None)
        on_kafka = via == "kafka" or (not via and self._reads_kafka)
        if on_kafka and model and self.profile.api_key:
            asked = replace(asked, model_id=str((await self.model(model))["model_id"]))
        source = (
            over_kafka(self.profile, asked, self._patience)
            if on_kafka
            else over_http(self._transport, asked, self._patience)
        )
        keys = ServiceKeys(self.service_keys)
        try:
            async with contextlib.aclosing(source) as messages:
                async for cursor, message, service in messages:
                    event = await _verified(keys, message, service, cursor) if message else None
                    if event is not None and (not on_kafka or asked.includes(event)):
                        yield event
                    if kept is not None:
                        await asyncio.to_thread(kept.handled, cursor)
        finally:
            if kept is not None:
                kept.save()

    @property
    def _reads_kafka(self) -> bool:
        return bool(self.profile.kafka_bootstrap and not self.profile.key_file)


async def _verified(keys: ServiceKeys, message: CloudEvent, service: str, cursor: str) -> Event | None:
    """Return the event of a message; None, with a warning, for one that no service signed."""
    try:
        await keys.check(message, service)
        return read_event(message, cursor)
    except (BadSignature, NotACloudEvent) as e:
        log.warning("the event %.80r is passed over: %s", message.id, e)
        return None
