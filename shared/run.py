"""Run a service as a process: start its parts in order, watch them, and stop them in time.

The HTTP server starts first, so that liveness and readiness are answered while PostgreSQL or Kafka is
unavailable.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import asyncpg

from regista.wire.keys import SigningKey
from shared.checks import RETRY_EVERY, Checks
from shared.deciding.access import PARTITION
from shared.deciding.service import Service
from shared.foundation import garbage_collector
from shared.foundation.event_loop import Loop
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, connect_pool
from shared.foundation.postgres_errors import NOT_MIGRATED, raise_if_cancelled
from shared.foundation.process_parts import ProcessParts
from shared.foundation.settings import WRONG_SETTING, Settings, SettingsWrong
from shared.foundation.telemetry import error_summary, set_up_logs, tracer
from shared.foundation.topics import topic_of
from shared.http.app import LISTS, App
from shared.http.dispatch import Application
from shared.http.operations import OPERATIONS, openapi_route
from shared.http.problems import Problem
from shared.http.routes import Route
from shared.http.server import Server
from shared.identity.access_view import AccessView
from shared.identity.sign_ins import SignIns
from shared.log import eventlog, projector
from shared.log.denied_attempts import DeniedAttempts
from shared.log.due_runner import DueWorkRunner
from shared.log.due_work import DueWork
from shared.log.transact import Transactor
from shared.measurements import Measurement, Measurements, of_every_service
from shared.messaging import relay
from shared.messaging.broker import consume
from shared.messaging.consumer import Consumer
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.earlier_messages import EarlierMessages
from shared.messaging.kafka import Subscription, start_producer
from shared.messaging.log_check import LogCheck
from shared.messaging.own_topic import OwnTopic
from shared.messaging.urgent import UrgentReader, UrgentSender, urgent_parts

log = logging.getLogger(__name__)

T = TypeVar("T")
Work: TypeAlias = Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Process:
    """What the process of a service runs.

    `extra_services` are written by this process, too, each through a transactor of its own. `start` runs once
    before the service serves or consumes anything, and returns the service's own parts, if any. `background`
    functions run for the life of the process. `checks` run every few seconds for readiness: each raises, with
    a message for the operator, while its part cannot work. `measurements` are taken now and then.
    `known_names` is the statement that returns which of the texts $1 are names in the service's read models.
    `elsewhere` has the beginning of paths that another server serves, and the refusal that names it.
    """

    service: Service
    routes: Sequence[Route] = ()
    subscriptions: Sequence[Subscription] = ()
    due_work: Sequence[DueWork] = ()
    extra_services: Sequence[Service] = ()
    start: Callable[[App], Awaitable[object]] | None = None
    background: Sequence[Callable[[App], Coroutine[Any, Any, None]]] = ()
    checks: Mapping[str, Callable[[App], Awaitable[None]]] = field(default_factory=dict)
    measurements: Sequence[Measurement] = ()
    known_names: str = ""
    elsewhere: Mapping[str, Callable[[App], Problem]] = field(default_factory=dict)


class RunningProcess:
    """A process from start to end."""

    def __init__(self, app: App, process: Process) -> None:
        self._app = app
        self._process = process
        self._services = (process.service, *process.extra_services)
        self._writes = tuple(s for s in self._services if s.folds)
        self._publishes = tuple(s for s in self._writes if s.name != PARTITION)
        self._wake_ups = {
            name: WakeUp(app.settings.database_url, name)
            for name in {PARTITION, *(s.name for s in self._services)}
        }
        self._key = app.settings.signing_key() if self._publishes else None
        self._edges: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.Task[None]] = []
        self.stop = asyncio.Event()
        self._parts = ProcessParts(app.readiness, self.stop)
        self._log = LogCheck({})

    @property
    def ended(self) -> str:
        """The first part that ended although the process was to run, or ""."""
        return self._app.readiness.ended

    async def run(self) -> None:
        """Run until `stop` is set. Raises an exception group when a part ends with an error."""
        app = self._app
        own_topics = [topic_of(s.name) for s in self._publishes]
        app.dead_letters = DeadLetters(
            app.settings, [*(s.topic for s in self._process.subscriptions), *own_topics]
        )
        routes = [*self._process.routes, *OPERATIONS, openapi_route(self._process.routes)]
        server = Server(Application(app, routes, self._process.elsewhere), app.settings)
        try:
            async with asyncio.TaskGroup() as group:
                serving = self._parts.run(group, "http", server.run())
                starting = group.create_task(self._start(group), name="start")
                starting.add_done_callback(self._parts.started)
                await self.stop.wait()
                log.info("stopping")
                app.readiness.wait("process", "it is stopping")
                starting.cancel()
                await self._wind_down(server, serving)
        finally:
            self._parts.close()

    async def _wind_down(self, server: Server, serving: asyncio.Task[None]) -> None:
        """Stop what brings work in first, so that requests in progress are still answered."""
        server.stop()
        for task in self._edges:
            task.cancel()
        await asyncio.wait([serving, *self._edges], timeout=6)
        tasks = (serving, *self._edges, *self._writers)
        for task in tasks:
            task.cancel()
        await self._app.dead_letters.stop()
        for pool in ("pool", "searches"):
            if hasattr(self._app, pool):
                getattr(self._app, pool).terminate()
        _, stuck = await asyncio.wait(tasks, timeout=2)
        if stuck:
            names = [task.get_name() for task in stuck]
            log.critical("parts did not stop in time; the process ends anyway", extra={"tasks": names})
            os._exit(1)

    async def _start(self, group: asyncio.TaskGroup) -> None:
        app, process = self._app, self._process
        app.readiness.wait("process", "it is starting")
        app.pool = await self._until("postgres", self._connected)
        app.searches = await self._connected(size=LISTS, plan_with_values=True)
        for service in self._writes:
            await self._until("postgres", functools.partial(projector.ensure, service, app.pool))
        app.dead_letters.attach(app.pool, projector.schema_of(process.service))
        self._writers += [
            self._parts.run(group, f"wake_up {n}", wake_up.run()) for n, wake_up in self._wake_ups.items()
        ]
        for s in self._writes:
            app.transactors[s.name] = Transactor(
                s, app.pool, self._wake_ups[s.name], standing=app.standing, check_log=self._compare_log
            )
        self._writers += [
            self._parts.run(group, f"transactor {n}", t.run()) for n, t in app.transactors.items()
        ]
        if process.service.name in app.transactors:
            app.transactor = app.transactors[process.service.name]
            app.known_names = process.known_names
            app.denied_attempts = DeniedAttempts(app.transactor.submit, process.service.name)
            app.dead_letters.denied_attempts = app.denied_attempts
        app.access = AccessView(app.pool, app.settings.pepper, self._wake_ups[PARTITION])
        app.sign_ins = SignIns(app.access, app.settings.pepper)
        await self._until("identities", app.access.catch_up)
        if self._key is not None:
            topics = {s.name: OwnTopic(app.settings, s.name, self._key, app.access) for s in self._publishes}
            self._log = LogCheck(topics)
        await self._until("log", self._check_log)
        self._writers.append(self._parts.run(group, "access", app.access.run()))
        if (start := process.start) is not None:
            app.parts = await self._until("start", functools.partial(start, app), any_error=True)
        self._edges += [self._parts.run(group, name, work) for name, work in self._edge_work()]
        app.serving = True
        app.readiness.clear("process")
        garbage_collector.collect_rarely()
        log.info(
            "started",
            extra={
                "streams": [f.category for s in self._writes for f in s.folds],
                "topics": [s.topic for s in process.subscriptions],
            },
        )

    def _edge_work(self) -> list[tuple[str, Work]]:
        """Return what brings work in, by name: checks, relays, consumers, due work, background."""
        app, process = self._app, self._process
        checks = Checks(app, self._writes, self._publishes, process.checks)
        work: list[tuple[str, Work]] = [("checks", checks.run()), ("key use", app.access.key_use.run())]
        work.append(("issuers", app.sign_ins.keys.run()))
        work += [("denied attempts", app.denied_attempts.run())] if app.denied_attempts is not None else []
        if self._key is not None:
            work += [(f"relay {s.name}", self._relay(s, self._key)) for s in self._publishes]
            send = [UrgentSender(s, app.pool, self._key) for s in self._publishes if s.urgent]
            work += [(f"urgent {sender.name}", sender.run()) for sender in send]
        if process.subscriptions:
            app.readiness.wait("kafka", "joins the consumer groups")
            consumers = [self._consumer(s) for s in process.subscriptions]
            work.append(("kafka", consume(app.settings, consumers, app.readiness)))
            if (once := app.dead_letters.once) is not None:
                earlier = EarlierMessages(consumers, once, app.settings, app.readiness)
                work.append(("earlier messages", earlier.run()))
        urgent = [self._consumer(s) for s in urgent_parts(process.subscriptions)]
        work += [(f"urgent {c.name}", UrgentReader(c, app.pool, app.access).run()) for c in urgent]
        measured = [*of_every_service(projector.schema_of(process.service)), *process.measurements]
        work.append(("measurements", Measurements(app, measured).run()))
        schema, wake_up = projector.schema_of(process.service), self._wake_ups[process.service.name]
        for due in process.due_work:
            runner = DueWorkRunner(due, process.service.name, schema, app.pool, app.transactor, wake_up)
            work.append((f"due {due.kind}", runner.run()))
        return work + [(getattr(b, "__name__", "background"), b(app)) for b in process.background]

    def _consumer(self, subscription: Subscription) -> Consumer:
        app = self._app
        return Consumer(subscription, app.transactor, app.access, app.dead_letters, app.readiness)

    def _relay(self, service: Service, key: SigningKey) -> Work:
        app = self._app
        on_state = functools.partial(app.readiness.show, f"relay {service.name}")
        return relay.Relay(
            service,
            app.settings.database_url,
            self._wake_ups[service.name],
            functools.partial(start_producer, app.settings),
            key,
            on_state,
            app.transactors[service.name].states.recent,
            functools.partial(app.access.ended, key.key_id),
            functools.partial(self._log.topic, service.name),
        ).run()

    async def _connected(self, size: int = 8, *, plan_with_values: bool = False) -> asyncpg.Pool:
        return await connect_pool(
            self._app.settings.database_url,
            schemas=tuple(dict.fromkeys(projector.schema_of(s) for s in self._services)),
            application=f"regista-{self._app.name}",
            size=size,
            plan_with_values=plan_with_values,
        )

    async def _check_log(self) -> None:
        async with self._app.pool.acquire() as connection:
            await self._compare_log(connection)

    async def _compare_log(self, connection: asyncpg.Connection) -> None:
        """Raise LogStopped when nothing may be written. A service that writes nothing reads a stopped log."""
        if self._writes:
            await self._log.all(connection)
        else:
            await eventlog.check_not_restored(connection)

    async def _until(self, part: str, attempt: Callable[[], Awaitable[T]], *, any_error: bool = False) -> T:
        """Repeat `attempt` until it succeeds; readiness shows why it does not.

        With `any_error`, retry any error.
        """
        while True:
            try:
                found = await attempt()
            except NOT_MIGRATED as missing:
                raise_if_cancelled()
                self._app.readiness.wait(
                    part,
                    "the schema does not exist or is not of this release"
                    f" ({error_summary(missing)}): run python -m shared.migrate",
                )
            except projector.Superseded as superseded:
                self._app.readiness.wait(part, str(superseded))
            except eventlog.LogStopped as stopped:
                self._app.standing.stop(str(stopped))
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)
                self._app.readiness.wait(part, f"waits for it ({error_summary(error)})", logged=False)
            except Exception as error:
                raise_if_cancelled()
                if not any_error:
                    raise
                self._app.readiness.wait(part, f"waits and tries again ({error_summary(error)})")
            else:
                self._app.readiness.clear(part)
                if part == "log":
                    self._app.standing.clear()
                return found
            await asyncio.sleep(RETRY_EVERY)


def main(factory: Callable[[App], Process]) -> None:
    """Run the process that `factory` describes until SIGTERM, and exit.

    The exit code is 0 after SIGTERM, 78 because of a setting, 1 because of anything else. The log has one
    critical line with the reason in `error`. `factory` gets the App before it is connected: use it later, in
    closures.
    """
    name = sys.modules["__main__"].__spec__.name if sys.modules["__main__"].__spec__ else "regista"
    set_up_logs(name.removesuffix(".__main__").rpartition(".")[2], "INFO")
    try:
        running = _prepared(factory)
        with asyncio.Runner(loop_factory=Loop) as runner:
            code = runner.run(_until_signal(running))
    except SettingsWrong as wrong:
        log.critical("cannot start: a setting is wrong", extra={"error": str(wrong)})
        code = WRONG_SETTING
    except Exception as error:
        log.critical("cannot start", exc_info=error)
        code = 1
    tracer.shut_down()
    sys.exit(code)


def _prepared(factory: Callable[[App], Process]) -> RunningProcess:
    settings = Settings.from_environment(required=("database_url", "pepper"))
    app = App("", settings)
    process = factory(app)
    app.name = process.service.name
    set_up_logs(app.name, settings.log_level)
    tracer.set_up(app.name, settings)
    return RunningProcess(app, process)


async def _until_signal(running: RunningProcess) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.stop.set)
    try:
        await running.run()
    except BaseExceptionGroup as group:
        ended = running.ended
        what = "cannot start" if ended == "start" else f"the process ends, because its part {ended} ended"
        log.critical(what, exc_info=group)
        return 1
    log.info("stopped")
    return 0
