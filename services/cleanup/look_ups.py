"""Look up the model of a report of use, and place reports that were read before their model was noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from regista.wire.cloudevents import CloudEvent, to_kafka
from services.cleanup import queries
from services.cleanup.domain import waiting_reports
from services.cleanup.domain.retention import stream_of
from services.cleanup.domain.waiting_reports import EndWait, HoldReport, ReportMessage
from services.cleanup.inbound import USAGE_TOPIC, ModelUsed
from shared.deciding.access import namespace_of
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Permission, Submission, new_id, request_digest
from shared.messaging.kafka import Malformed, Received

if TYPE_CHECKING:
    from shared.http.app import App

LARGEST = 16 * 1024
"""Characters of a report that may wait. A usual report has about 1,500."""

MOST_HELD = 10_000
"""Positions of held reports that are kept until their second look-up."""

GROUP = f"cleanup.{USAGE_TOPIC}"


class Reports:
    """Reports of use on their way to the stream of their model.

    A report whose model is not noted waits. It is placed when the model is noted, or by a second look-up
    after its own commit, because the model may have been noted in between. When the process dies before
    that, Kafka delivers the report again. Its uses always have the cause of the message, so they count
    once.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._held: set[tuple[int, int]] = set()

    async def record(self, m: Received) -> Sequence[Submission]:
        """Return the command that counts the uses of a report, or lets it wait for its model."""
        report = read_report(m)
        known = await queries.model(self._app.pool, report.model_id or report.model)
        if known is None and report.model_id is None:
            return [self._hold(m, report)]
        model_id, name = (known.model_id, known.name) if known else (str(report.model_id), report.model)
        return [_record(m, report, model_id, Permission("publisher", namespace_of(name)))]

    async def look_up_again(self, m: Received) -> Sequence[Submission]:
        """Place a report that was just held, if its model was noted before the commit."""
        if (m.partition, m.offset) not in self._held:
            return ()
        self._held.discard((m.partition, m.offset))
        name = read_report(m).model
        known = await queries.model(self._app.pool, name)
        return await self.place(name, known.model_id, [(_report_id(m, name), m)]) if known else ()

    async def place_waiting(self, name: str, model_id: str) -> Sequence[Submission]:
        """Place the reports that wait for a name, after it was noted."""
        waiting = await queries.waiting_reports(self._app.pool, name)
        return await self.place(
            name, model_id, [(report_id, received(message)) for report_id, message in waiting]
        )

    async def place(
        self, name: str, model_id: str, waiting: Sequence[tuple[str, Received]]
    ) -> list[Submission]:
        """Record the uses of reports, each with its id.

        Return the commands that end their wait: submit them afterwards.
        """
        commands = [_record(m, read_report(m), model_id, None) for _, m in waiting]
        answers = await self._app.transactor.submit_all(commands)
        ended = []
        for (report_id, m), answer in zip(waiting, answers, strict=True):
            if isinstance(answer, RuleBroken):
                ended.append(await self.give_up(name, report_id, m, str(answer)))
            else:
                ended.append(_end(m, EndWait(name, report_id, model_id)))
        return ended

    async def give_up(self, name: str, report_id: str, m: Received, why: str) -> Submission:
        """Dead-letter a report. Return the command that ends its wait."""
        key, value, headers = to_kafka(m.event)
        record = ConsumerRecord(
            USAGE_TOPIC, m.partition, m.offset, 0, 0, key, value, None, len(key), len(value), headers
        )
        await self._app.dead_letters.add(record, why, GROUP)
        return _end(m, EndWait(name, report_id, why=why))

    def _hold(self, m: Received, report: ModelUsed) -> Submission:
        message = _message(m)
        size = len(message.data) + sum(len(name) + len(value) for name, value in message.extensions.items())
        if size > LARGEST:
            raise Malformed(
                f"no model is named {report.model!r}, and a report of more than {LARGEST} characters "
                "does not wait: register the model first, or send its model_id"
            )
        if len(self._held) >= MOST_HELD:
            self._held.clear()  # of refused messages; a report that misses its second look-up is placed later
        self._held.add((m.partition, m.offset))
        return Submission(
            HoldReport(report.model, _report_id(m, report.model), message),
            (waiting_reports.stream_of(report.model),),
            # A replayed dead letter waits again; its uses keep the cause of the message.
            m.cause(f"held/{m.partition}/{m.offset}"),
            m.actor,
            permission=Permission("publisher", namespace_of(report.model)),
        )


def _report_id(m: Received, name: str) -> str:
    return str(new_id(m.cause(), name))


def read_report(m: Received) -> ModelUsed:
    """Return the report in a message. Raises Malformed."""
    try:
        return ModelUsed.model_validate_json(m.event.data, strict=True)
    except ValidationError as wrong:
        raise Malformed.in_shape(wrong) from None


def _record(m: Received, report: ModelUsed, model_id: str, permission: Permission | None) -> Submission:
    """Return the command with the cause of the message, so that the uses count once.

    A report that waited needs no permission: it was checked when the report arrived.
    """
    command = report.to_domain(model_id)
    return Submission(command, (stream_of(model_id),), m.cause(), m.actor, permission=permission)


def _end(m: Received, command: EndWait) -> Submission:
    id_ = f"{command.report_id}/{m.partition}/{m.offset}/{command.model_id}"
    cause = Cause(
        "cleanup/early",
        id_,
        request_digest(id_),
        correlation_id=m.cause().correlation_id,
        causation_id=m.event.id,
        trace=m.trace,
    )
    return Submission(command, (waiting_reports.stream_of(command.model),), cause, Actor("service:cleanup"))


def _message(m: Received) -> ReportMessage:
    e = m.event
    return ReportMessage(
        id=e.id,
        source=e.source,
        type=e.type,
        subject=e.subject,
        time=e.time,
        data=e.data.decode(),
        datacontenttype=e.datacontenttype,
        dataschema=e.dataschema,
        extensions=dict(e.extensions),
        partition=m.partition,
        offset=m.offset,
        signer=m.signer,
        key_id=m.key_id,
        trace=m.trace,
    )


def received(text: str) -> Received:
    """Return a report that waits, as it was received."""
    e = msgspec.json.decode(text, type=ReportMessage)
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
