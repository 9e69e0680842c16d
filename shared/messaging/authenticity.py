"""Verify raw records: shape, size, signature and signer of a whole batch."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord

from regista.wire.cloudevents import CloudEvent, NotACloudEvent, from_kafka, utc
from regista.wire.dsse import BadSignature, key_id_of, verify
from shared.foundation.postgres import Unavailable
from shared.foundation.telemetry import new_trace
from shared.identity.access_view import AccessView
from shared.identity.ed25519 import public_key
from shared.identity.public_keys import Signer
from shared.messaging.dead_letter_records import NOT_AUTHENTIC, TOO_LARGE
from shared.messaging.kafka import Received, Subscription

LONGEST_ID = 400
"""Maximum length of an id in characters.

Stored events keep it and indexes contain it. PostgreSQL writes no index entry of more than 2,704 bytes.
"""

CHUNK = 64
"""Records that a thread takes in one step.

Verifying releases the interpreter lock, so two threads are faster than one.
"""

PATIENCE = 2.0
"""Seconds that open transactions get to end before a batch with an unknown key is reported as waiting."""

BROKERS_TIME = 1
"""The `timestamp_type` of a record whose time the broker set (LogAppendTime)."""

AT_ONCE = 8
"""Records up to which a batch is judged on the event loop: handing it to a thread would cost half as much."""

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify")


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is no authentic message of this topic, and the reason."""

    reason: str
    code: str = NOT_AUTHENTIC


@dataclass(frozen=True, slots=True)
class UnknownKey(Refused):
    """A record signed with a key that this process has not read yet: it may have been issued a moment ago."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message of a type that this subscription does not read."""


Verdict = Received | Refused | Ignored


async def verified(
    records: Sequence[ConsumerRecord[Any, Any]], subscription: Subscription, access: AccessView
) -> list[Verdict]:
    """Return a verdict for each record, in order.

    Signatures with unknown keys are verified again after the view caught up with the log.

    Raises Unavailable while a service's key may be in the log and not yet readable: its event must not be
    refused for that.
    """
    verdicts = await _verdicts(records, subscription, access)
    for verdict in verdicts:
        if isinstance(verdict, Received) and verdict.kind != "service":
            access.key_use.note(verdict.key_id)
    return verdicts


async def _verdicts(
    records: Sequence[ConsumerRecord[Any, Any]], subscription: Subscription, access: AccessView
) -> list[Verdict]:
    verdicts = await _in_threads(records, subscription, access.signer)
    if not (again := _unknown(verdicts)):
        return verdicts
    horizon, deadline = await access.horizon(), time.monotonic() + PATIENCE
    while again:
        all_read = await access.read_past(horizon)
        for n, verdict in zip(
            again, await _in_threads([records[n] for n in again], subscription, access.signer), strict=True
        ):
            verdicts[n] = verdict
        again = _unknown(verdicts)
        if all_read or subscription.from_publishers:
            break
        if again and time.monotonic() > deadline:
            raise Unavailable(
                "an event is signed with an unknown key, "
                "and an open transaction in the database server may hide the issue of that key"
            )
        await asyncio.sleep(0.05)
    return verdicts


def _unknown(verdicts: Sequence[Verdict]) -> list[int]:
    return [n for n, verdict in enumerate(verdicts) if isinstance(verdict, UnknownKey)]


async def _in_threads(
    records: Sequence[ConsumerRecord[Any, Any]],
    subscription: Subscription,
    key: Callable[[str], Signer | None],
) -> list[Verdict]:
    if len(records) <= AT_ONCE:
        return _judge_all(records, subscription, key)
    loop = asyncio.get_running_loop()
    size = min(CHUNK, math.ceil(len(records) / 2))
    chunks = [records[n : n + size] for n in range(0, len(records), size)]
    judged = await asyncio.gather(
        *[loop.run_in_executor(_threads, _judge_all, chunk, subscription, key) for chunk in chunks]
    )
    return [verdict for chunk in judged for verdict in chunk]


def _judge_all(
    records: Sequence[ConsumerRecord[Any, Any]],
    subscription: Subscription,
    key: Callable[[str], Signer | None],
) -> list[Verdict]:
    return [judge(record, subscription, key) for record in records]


def judge(
    record: ConsumerRecord[Any, Any], subscription: Subscription, key: Callable[[str], Signer | None]
) -> Verdict:
    """Judge one record. Raises nothing: everything that a sender can send has a verdict."""
    try:
        return _judge(record, subscription, key)
    except (NotACloudEvent, BadSignature) as error:
        return Refused(error.reason)
    except Exception as error:  # noqa: BLE001 - a message must not be able to stop its partition
        return Refused(f"cannot be read ({type(error).__name__})")


def _judge(
    record: ConsumerRecord[Any, Any], subscription: Subscription, key: Callable[[str], Signer | None]
) -> Verdict:
    size = len(record.value or b"")
    if size > subscription.max_bytes:
        return Refused(f"{size:,} bytes of data; at most {subscription.max_bytes:,} are accepted", TOO_LARGE)
    event = from_kafka(record.value, record.headers, record.key)
    if b"\\u0000" in event.data:
        return Refused("a text holds the character NUL, which cannot be kept")
    if event.type not in subscription.handlers and not subscription.strict:
        return Ignored()
    ids = {"id": event.id} | {
        name: event.extensions.get(name, "") for name in ("correlationid", "causationid")
    }
    if too_long := [name for name, value in ids.items() if len(value) > LONGEST_ID]:
        return Refused(f"{' and '.join(too_long)} may have {LONGEST_ID} characters")
    signer = key(key_id := key_id_of(event))
    if signer is None:
        return UnknownKey(f"signed with the key {key_id[:80]!r}, which is unknown")
    verify(event, public_key(signer.public_key))
    if ended := _ended(signer, event, subscription, stored_at(record)):
        return Refused(f"signed with the key {key_id[:80]!r}, {ended}")
    if not subscription.may_send(signer, event):
        return Refused(f"{signer.subject} may not publish {event.type} from {event.source} on {record.topic}")
    if event.type not in subscription.handlers:
        return Refused(
            f"the type {event.type!r} is not known here; known: {', '.join(sorted(subscription.handlers))}"
        )
    return Received(
        event,
        signer.subject,
        signer.kind,
        record.topic,
        record.partition,
        record.offset,
        event.extensions.get("traceparent", "") or new_trace(),
        key_id,
        signer.started_by,
    )


def stored_at(record: ConsumerRecord[Any, Any]) -> datetime | None:
    """Return when the broker stored a record; None on a topic whose records have a time of their sender."""
    if record.timestamp_type != BROKERS_TIME:
        return None
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def _ended(signer: Signer, event: CloudEvent, subscription: Subscription, stored: datetime | None) -> str:
    """Return why the signer's key is not valid for this event; "" when it is.

    An event of a service is accepted when the key was valid at the moment the event was recorded, however
    late it is read: it cannot be signed again. The time in a publisher's message is the publisher's own
    claim. So the expiry of a publisher's key is compared with the time at which the broker stored the
    message, where the broker states it, and else with now. A key that was revoked has to be valid now.
    """
    if signer.compromised:
        return "which was revoked as compromised: nothing it signed counts"
    if subscription.from_publishers:
        now = datetime.now(UTC)
        sent = now if stored is None or signer.taken else min(stored, now)
        return (
            "" if signer.live(sent) else "which is revoked or expired: send it again, signed with a live key"
        )
    recorded = event.extensions.get("recordedtime")
    if signer.until is None or (recorded is not None and signer.live(datetime.fromisoformat(utc(recorded)))):
        return ""
    recorded = recorded or "at an unknown time"
    return f"which ended at {signer.until.isoformat()}, before the event was recorded ({recorded})"
