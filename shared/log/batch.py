"""One batch of commands in one transaction: load, let each command decide in turn, write."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from shared.deciding.access import (
    ACCESS,
    ACCESS_EVENTS,
    PARTITION,
    AccessState,
    check,
)
from shared.deciding.access import stream_of as access_stream
from shared.deciding.acting import acting, stream_of_issuer
from shared.deciding.decider import Decider, RuleBroken, Streams, category_of
from shared.deciding.events import Actor, Envelope, Recorded, encode
from shared.deciding.service import Service
from shared.deciding.submission import Cause, IdempotencyMismatch, Submission
from shared.log import eventlog, inbox, read_models
from shared.log.inbox import Handled
from shared.log.states import CachedState, States

MOST = 2 * 1024 * 1024
"""Maximum size of a stored event in bytes.

Kafka's clients accept more (shared/messaging/kafka.py): there is room for the attributes and the signature.
"""

Answer = tuple[tuple[Recorded, ...], bool] | RuleBroken
Wrote = Sequence[tuple[str, int, int]]


class EventTooLarge(RuleBroken):
    """The command leads to an event that is larger than readers accept."""

    def __init__(self, stream: str, size: int) -> None:
        super().__init__(
            "event_too_large",
            f"The command would write an event of {size} bytes to {stream}; at most {MOST} are stored: "
            "send less in one request.",
            size=size,
            most=MOST,
        )


class Batch:
    """A batch.

    Call `load`, `decide` and `write` in one transaction, in this order; `answers` are in the order of the
    submissions.
    """

    def __init__(
        self, service: Service, schema: str, shape: str, states: States, submissions: Sequence[Submission]
    ) -> None:
        self._service = service
        self._shape = shape
        self._schema = schema
        self._states = states
        self._submissions = submissions
        self.written = {stream for s in submissions for stream in s.streams}
        guarded = [s.actor for s in submissions if s.permission is not None]
        guards = {access_stream(actor.subject) for actor in guarded}
        guards |= {stream for actor in guarded if (stream := stream_of_issuer(actor.method))}
        self._read = {stream for s in submissions for stream in s.depends_on} | guards
        self.all_streams = self.written | self._read
        self.changed: dict[str, CachedState] = {}
        self.rows: list[eventlog.Row] = []
        self.answers: list[Answer] = []
        self.recorded: list[Recorded] = []
        self._running: dict[str, CachedState] = {}
        self._past: dict[tuple[str, int], Any] = {}
        self._handled: dict[inbox.Key, Handled] = {}
        self._new: dict[inbox.Key, Handled] = {}
        self._replays: list[tuple[int, Wrote]] = []
        self._now: datetime
        self.server: str

    async def load(self, tx: asyncpg.Connection) -> None:
        """Take the locks in a statement of their own; then load tails, causes and the database clock."""
        await eventlog.lock(tx, self._service.name, self.written, self._read)
        held = {stream: self._states.get(stream) for stream in self.all_streams}
        tails = await eventlog.load(
            tx, self._service.name, {stream: h.revision for stream, h in held.items()}
        )
        for stream, h in held.items():
            self._running[stream] = self._folded(stream, h, tails[stream]) if stream in tails else h
        found = await inbox.look_up(
            tx, self._schema, {(s.cause.source, s.cause.id) for s in self._submissions}
        )
        self._now, self._handled, self.server = found.now, found.handled, found.server
        if found.shape not in {None, self._shape}:
            raise read_models.ShapeChanged(read_models.ShapeChanged.__doc__)

    def _folded(self, stream: str, held: CachedState, tail: Iterable[bytes]) -> CachedState:
        evolve, types = self._states.fold_of(stream).evolve, self._types(stream)
        partition = eventlog.partition_of(stream, self._service.name)
        state, revision, recorded_at = held.state, held.revision, held.recorded_at
        for stored in tail:
            recorded = types.recorded(partition, stored)
            state, revision, recorded_at = (
                evolve(state, recorded.event),
                recorded.revision,
                recorded.recorded_at,
            )
        folded = CachedState(state, revision, recorded_at, held.kept)
        self.changed[stream] = folded
        return folded

    def _types(self, stream: str) -> Any:
        return ACCESS_EVENTS if category_of(stream) == PARTITION else self._service.events

    async def decide(self, tx: asyncpg.Connection) -> None:
        """Let each command decide on the state that the commands before it left."""
        for n, submission in enumerate(self._submissions):
            key = (submission.cause.source, submission.cause.id)
            handled = self._handled.get(key) or self._new.get(key)
            if handled is None:
                self.answers.append(await self._decide_one(tx, submission, key))
            elif handled.digest != submission.cause.digest:
                self.answers.append(IdempotencyMismatch(submission.cause))
            else:
                self.answers.append(((), True))
                self._replays.append((n, handled.wrote))

    async def _decide_one(self, tx: asyncpg.Connection, submission: Submission, key: inbox.Key) -> Answer:
        try:
            if submission.permission is not None:
                access = self._acting(submission.actor)
                for needed in (submission.permission, *submission.also):
                    check(access, needed, self._now, submission.actor.method)
            events = await self._events(tx, submission)
        except RuleBroken as broken:
            return broken
        recorded = [
            self._record(stream, event, submission)
            for stream, of_stream in events.items()
            for event in of_stream
        ]
        self._new[key] = Handled(submission.cause.digest, _ranges(recorded))
        return tuple(recorded), False

    def _acting(self, actor: Actor) -> AccessState:
        """Return the actor's identity with the roles that count for this command, as the log has them now."""
        of_issuer = stream_of_issuer(actor.method)
        issuer: AccessState = self._running[of_issuer].state if of_issuer else ACCESS.initial
        return acting(self._running[access_stream(actor.subject)].state, actor.method, issuer)

    async def _events(self, tx: asyncpg.Connection, submission: Submission) -> Mapping[str, Sequence[Any]]:
        command = submission.command
        if submission.under_locks is not None:
            command = await submission.under_locks(tx, command)
        decider = self._service.decider_of(command)
        if hasattr(command, "now"):
            command = dataclasses.replace(
                command, now=max(self._now, *(self._running[s].recorded_at for s in submission.streams))
            )
        if isinstance(decider, Decider):
            stream = submission.streams[0]
            return {stream: decider.decide(command, self._running[stream].state)}
        states = {
            stream: self._running[stream].state for stream in (*submission.streams, *submission.depends_on)
        }
        streams = Streams(states)
        wanted = list(decider.past_events(command, streams))
        if wanted:
            streams = Streams(states, await self._past_events(tx, wanted))
        return decider.decide(command, streams)

    async def _past_events(
        self, tx: asyncpg.Connection, wanted: Sequence[tuple[str, int]]
    ) -> dict[tuple[str, int], Any]:
        """Return past events: of this batch, from the cache of recent ones, or from the log."""
        missing = []
        for name in wanted:
            event = self._past.get(name) or self._states.recent.get(name)
            if event is None:
                missing.append(name)
            else:
                self._past[name] = event
        if missing:
            for name, stored in (await eventlog.load_past(tx, self._service.name, missing)).items():
                recorded = self._service.events.recorded(self._service.name, stored)
                self._past[name] = recorded.event
                self._states.recent.put(recorded)
        return {name: self._past[name] for name in wanted}

    def _record(self, stream: str, event: Any, submission: Submission) -> Recorded:
        held = self._running[stream]
        cause: Cause = submission.cause
        type_ = type(event).__name__
        envelope = Envelope(
            eventlog.uuid7(self._now),
            type_,
            self._types(stream).schema_of(event),
            stream,
            held.revision + 1,
            max(self._now, held.recorded_at),
            submission.actor,
            msgspec.Raw(encode(event)),
            cause.occurred_at,
            submission.reason,
            cause.correlation_id or cause.id,
            cause.causation_id,
            cause.trace,
        )
        stored = encode(envelope)
        if len(stored) > MOST:
            raise EventTooLarge(stream, len(stored))
        recorded = Recorded(
            eventlog.partition_of(stream, self._service.name),
            stream,
            envelope.revision,
            envelope.id,
            type_,
            envelope.schema,
            envelope.recorded_at,
            envelope.actor,
            event,
            stored,
            cause.occurred_at,
            envelope.reason,
            envelope.correlation_id,
            envelope.causation_id,
            envelope.trace,
        )
        self._running[stream] = self.changed[stream] = CachedState(
            self._states.fold_of(stream).evolve(held.state, event),
            envelope.revision,
            envelope.recorded_at,
            held.kept,
        )
        self._past[stream, envelope.revision] = event
        self.recorded.append(recorded)
        self.rows.append(eventlog.Row(stream, envelope.revision, envelope.id, type_, envelope.schema, stored))
        return recorded

    async def write(self, tx: asyncpg.Connection) -> None:
        """Append the events, which fixes the transaction id; then write the row changes and the causes."""
        if self.rows:
            await eventlog.append(tx, self._service.name, self.rows)
            merged = read_models.Merged()
            for recorded in self.recorded:
                merged.add(self._service.changes_of(recorded))
            await read_models.apply(tx, self._schema, merged)
        if self._new:
            await inbox.record(tx, self._schema, self._new)

    async def read_replays(self, connection: asyncpg.Connection) -> None:
        """Load, after the commit, the events that a repeated cause wrote the first time."""
        for n, wrote in self._replays:
            names = [
                (stream, revision) for stream, first, last in wrote for revision in range(first, last + 1)
            ]
            found = await eventlog.load_past(connection, self._service.name, names) if names else {}
            self.answers[n] = (
                tuple(self._service.events.recorded(self._service.name, found[name]) for name in names),
                True,
            )


def _ranges(recorded: Sequence[Recorded]) -> list[tuple[str, int, int]]:
    """Return (stream, first, last) of each stream written; its events are consecutive."""
    spans: dict[str, tuple[str, int, int]] = {}
    for r in recorded:
        first = spans[r.stream][1] if r.stream in spans else r.revision
        spans[r.stream] = (r.stream, first, r.revision)
    return list(spans.values())
