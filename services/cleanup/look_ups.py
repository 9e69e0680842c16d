"""Look up what a report of use names, and place reports that were read before that was noted."""

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
from services.cleanup.domain.waiting_reports import LONGEST_WAIT, EndWait, HoldReport, ReportMessage
from services.cleanup.inbound import USAGE_TOPIC, ModelUsed
from services.cleanup.queries import Model
from shared.deciding.access import namespace_of
from shared.deciding.decider import RuleBroken
from shared.deciding.environments import unknown_environment
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Permission, Submission, new_id, request_digest
from shared.messaging.kafka import Malformed, Received

if TYPE_CHECKING:
    from shared.http.app import App

LARGEST = 16 * 1024
"""Characters of a report that may wait. A usual report has about 1,500."""

MOST_HELD = 10_000
"""Positions of held reports that are kept until their second look-up, and models with an environment that are
known."""

ENVIRONMENT = "@"
"""What begins the name that reports of an environment wait for."""

GROUP = f"cleanup.{USAGE_TOPIC}"


class Reports:
    """Reports of use on their way to the stream of their model.

    A report whose model or environment is not noted waits. It is placed when that is noted, or by a second
    look-up after its own commit, because it may have been noted in between. When the process dies before
    that, Kafka delivers the report again. Its uses always have the cause of the message, so they count
    once.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._held: dict[tuple[int, int], str] = {}
        self._environments: set[tuple[str, str]] = set()

    async def record(self, m: Received) -> Sequence[Submission]:
        """Return the command that counts the uses of a report, or lets it wait for what it names."""
        report = read_report(m)
        model, missing = await self._find(report)
        permission = Permission("publisher", namespace_of(model.name))
        if missing:
            return [self._hold(m, report, missing, permission)]
        return [_record(m, report, model.model_id, permission)]

    async def _find(self, report: ModelUsed) -> tuple[Model, str]:
        """Return the model of a report, and the name that the report waits for ("" when all is noted)."""
        known = await queries.model(self._app.pool, report.model_id or report.model)
        model = known or Model(report.model_id or "", report.model)
        if not model.model_id:
            return model, report.model
        key = (model.model_id, report.environment)
        if key in self._environments:  # what a report may name once, it may name always
            return model, ""
        if not await queries.is_environment(self._app.pool, model, report.environment):
            return model, for_environment(report.environment)
        if len(self._environments) >= MOST_HELD:
            self._environments.clear()
        self._environments.add(key)
        return model, ""

    async def look_up_again(self, m: Received) -> Sequence[Submission]:
        """Place a report that was just held, if what it waits for was noted before the commit."""
        name = self._held.pop((m.partition, m.offset), None)
        return await self.place(name, [(_report_id(m, name), m)]) if name else ()

    async def place_waiting(self, name: str) -> Sequence[Submission]:
        """Place the reports that wait for a name, after it was noted."""
        waiting = await queries.waiting_reports(self._app.pool, name)
        return await self.place(name, [(report_id, received(message)) for report_id, message in waiting])

    async def place(self, name: str, waiting: Sequence[tuple[str, Received]]) -> list[Submission]:
        """Record the uses of reports, each with its id. Those that still wait for the name are left.

        Return the commands that end their wait: submit them afterwards.
        """
        found = [(report_id, m, *await self._find(read_report(m))) for report_id, m in waiting]
        ready = [(report_id, m, model, missing) for report_id, m, model, missing in found if missing != name]
        commands = [
            _record(m, read_report(m), model.model_id, None) for _, m, model, missing in ready if not missing
        ]
        answers = iter(await self._app.transactor.submit_all(commands))
        ended = []
        for report_id, m, model, missing in ready:
            refused = await self._unknown(model, missing) if missing else next(answers)
            if isinstance(refused, RuleBroken):
                ended.append(await self.give_up(name, report_id, m, str(refused)))
            else:
                ended.append(_end(m, EndWait(name, report_id, model.model_id)))
        return ended

    async def _unknown(self, model: Model, missing: str) -> RuleBroken:
        declared = await queries.environments_for(self._app.pool, model)
        return unknown_environment(missing.removeprefix(ENVIRONMENT), declared)

    async def why_given_up(self, name: str, m: Received) -> str:
        """Return why a report that waited long enough for a name becomes a dead letter."""
        if name.startswith(ENVIRONMENT):
            model, _ = await self._find(read_report(m))
            return f"{await self._unknown(model, name)} Replay the message once it is declared."
        return (
            f"no model was named {name!r} for {LONGEST_WAIT.days} day: "
            "replay the message once the model is registered, or send its model_id"
        )

    async def give_up(self, name: str, report_id: str, m: Received, why: str) -> Submission:
        """Dead-letter a report. Return the command that ends its wait."""
        key, value, headers = to_kafka(m.event)
        record = ConsumerRecord(
            USAGE_TOPIC, m.partition, m.offset, 0, 0, key, value, None, len(key), len(value), headers
        )
        await self._app.dead_letters.add(record, why, GROUP)
        return _end(m, EndWait(name, report_id, why=why))

    def _hold(self, m: Received, report: ModelUsed, name: str, permission: Permission) -> Submission:
        message = _message(m)
        size = len(message.data) + sum(len(name) + len(value) for name, value in message.extensions.items())
        if size > LARGEST:
            raise Malformed(
                f"no model is named {report.model!r}, or {report.environment!r} is no environment of it, and "
                f"a report of more than {LARGEST} characters does not wait: register the model first, or "
                "send its model_id"
            )
        if len(self._held) >= MOST_HELD:
            self._held.clear()  # of refused messages; a report that misses its second look-up is placed later
        self._held[m.partition, m.offset] = name
        return Submission(
            HoldReport(name, _report_id(m, name), message),
            (waiting_reports.stream_of(name),),
            # A replayed dead letter waits again; its uses keep the cause of the message.
            m.cause(f"held/{m.partition}/{m.offset}"),
            m.actor,
            permission=permission,
        )


def for_environment(name: str) -> str:
    """Return the name under which reports wait for an environment. No model can have it."""
    return f"{ENVIRONMENT}{name}"


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
