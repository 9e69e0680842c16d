"""Reports of use on their way to a model's stream, also those that come before anybody told of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from regista.wire.cloudevents import CloudEvent, to_kafka
from services.cleanup import queries
from services.cleanup.domain import early
from services.cleanup.domain.noted import read
from services.cleanup.domain.retention import stream_of
from services.cleanup.inbound import USAGE_TOPIC, ModelUsed
from shared.deciding.access import namespace_of
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Permission, Submission, new_id, request_digest
from shared.messaging.kafka import Malformed, Received

if TYPE_CHECKING:
    from shared.http.app import App

LARGEST = 16 * 1024
"""Characters of a report that may wait; one has about 1,500."""

REMEMBERED = 10_000
GROUP = f"cleanup.{USAGE_TOPIC}"


class Reports:
    """Places reports.

    One that has to wait is placed when registry's word of the model comes, or by its own second look, as the
    word may have come in between. If the process dies before that, Kafka delivers it again. Its uses have the
    message's own cause in any case, so they count once; the end of the wait is what makes sure of the row.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._held: set[tuple[int, int]] = set()

    async def used(self, m: Received) -> Sequence[Submission]:
        """A publisher counted uses of a version."""
        said = read_report(m)
        known = await queries.model(self._app.pool, said.model_id or said.model)
        if known is None and said.model_id is None:
            return [self._hold(m, said)]
        model_id, name = (known.model_id, known.name) if known else (str(said.model_id), said.model)
        return [_record(m, said, model_id, Permission("publisher", namespace_of(name)))]

    async def look_again(self, m: Received) -> Sequence[Submission]:
        """After a report was held: the model may have been noted between the look and the commit."""
        if (m.partition, m.offset) not in self._held:
            return ()
        self._held.discard((m.partition, m.offset))
        name = read_report(m).model
        known = await queries.model(self._app.pool, name)
        return await self.place(name, known.model_id, [(_report_id(m, name), m)]) if known else ()

    async def named(self, m: Received) -> Sequence[Submission]:
        """After a model's name was noted."""
        name = m.data["model"]
        waiting = [
            (report_id, received(message)) for report_id, message in await queries.early(self._app.pool, name)
        ]
        return await self.place(name, read(m.event.type, m.data).model_id, waiting)

    async def place(
        self, name: str, model_id: str, waiting: Sequence[tuple[str, Received]]
    ) -> list[Submission]:
        """Records the uses in these reports (each with its id); answers the commands that end their wait, which must not be committed before."""
        commands = [_record(m, read_report(m), model_id, None) for _, m in waiting]
        answers = await self._app.transactor.submit_all(commands)
        ended = []
        for (report_id, m), answer in zip(waiting, answers, strict=True):
            if isinstance(answer, RuleBroken):
                ended.append(await self.give_up(name, report_id, m, str(answer)))
            else:
                ended.append(_end(m, early.EndWait(name, report_id, model_id)))
        return ended

    async def give_up(self, name: str, report_id: str, m: Received, why: str) -> Submission:
        """Buries the message; answers the command that ends its wait."""
        key, value, headers = to_kafka(m.event)
        record = ConsumerRecord(
            USAGE_TOPIC, m.partition, m.offset, 0, 0, key, value, None, len(key), len(value), headers
        )
        await self._app.dead_letters.add(record, why, GROUP)
        return _end(m, early.EndWait(name, report_id, why=why))

    def _hold(self, m: Received, said: ModelUsed) -> Submission:
        message = _message(m)
        if (
            len(message.data) + sum(len(name) + len(value) for name, value in message.extensions.items())
            > LARGEST
        ):
            raise Malformed(
                f"no model is named {said.model!r}, and a report of more than {LARGEST} characters does not wait for one"
            )
        if len(self._held) >= REMEMBERED:
            self._held.clear()  # of messages that were refused; a second look that is missed comes at the end of the wait
        self._held.add((m.partition, m.offset))
        command = early.HoldReport(said.model, _report_id(m, said.model), message)
        cause = m.cause(
            f"held/{m.partition}/{m.offset}"
        )  # a letter that is replayed waits anew; its uses keep the message's own cause
        return Submission(
            command,
            (early.stream_of(said.model),),
            cause,
            m.actor,
            permission=Permission("publisher", namespace_of(said.model)),
        )


def _report_id(m: Received, name: str) -> str:
    return str(new_id(m.cause(), name))


def read_report(m: Received) -> ModelUsed:
    """The report in a message. Raises Malformed."""
    try:
        return ModelUsed.model_validate_json(m.event.data, strict=True)
    except ValidationError as wrong:
        raise Malformed.in_shape(wrong) from None


def _record(m: Received, said: ModelUsed, model_id: str, permission: Permission | None) -> Submission:
    """Under the message's own cause, so that it counts once whichever way it went.

    What waited was permitted when it came.
    """
    return Submission(
        said.to_domain(model_id), (stream_of(model_id),), m.cause(), m.actor, permission=permission
    )


def _end(m: Received, command: early.EndWait) -> Submission:
    place = f"{command.report_id}/{m.partition}/{m.offset}/{command.model_id}"
    cause = Cause(
        "cleanup/early",
        place,
        request_digest(place),
        correlation_id=m.cause().correlation_id,
        causation_id=m.event.id,
        trace=m.trace,
    )
    return Submission(command, (early.stream_of(command.model),), cause, Actor("service:cleanup"))


def _message(m: Received) -> early.Message:
    e = m.event
    return early.Message(
        e.id,
        e.source,
        e.type,
        e.subject,
        e.time,
        e.data.decode(),
        e.datacontenttype,
        e.dataschema,
        dict(e.extensions),
        m.partition,
        m.offset,
        m.signer,
        m.key_id,
        m.trace,
    )


def received(text: str) -> Received:
    """The message that waits, as it came."""
    e = msgspec.json.decode(text, type=early.Message)
    event = CloudEvent(
        e.id,
        e.source,
        e.type,
        e.subject,
        e.time,
        e.data.encode(),
        e.datacontenttype,
        e.dataschema,
        e.extensions,
    )
    return Received(event, e.signer, "publisher", USAGE_TOPIC, e.partition, e.offset, e.trace, e.key_id)
