"""A small service that tests the edges: counters, in the partition of `registry`, whose role it uses.

`python -m tests.integration.edges.toy` runs it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import Field
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from shared.deciding.access import ACCESS_EVENTS, AccessState, evolve_access
from shared.deciding.changes import Change, Drop, Put
from shared.deciding.decider import NO_TIME, Decider, Misrouted, NotFound, RuleBroken, Stale
from shared.deciding.events import EventTypes, Recorded
from shared.deciding.service import PublicEvent, Service
from shared.deciding.submission import Permission, Submission
from shared.http.app import App
from shared.http.batcher import Batcher
from shared.http.routes import Body, Call, PageQuery, Reply, Route
from shared.log.due_work import DUE, DueRow, DueWork
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_publishers, by_service
from shared.run import Process, main

log = logging.getLogger(__name__)

TOPIC = "regista.training.v1"
COUNTERS = Table(
    "counters",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("total", BigInteger),
    Column("revision", BigInteger),
)


@dataclass(frozen=True, slots=True)
class Count:
    by: int
    expected: int | None = None
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class Ring:
    """Let the alarm of a counter ring."""


@dataclass(frozen=True, slots=True)
class Counted:
    by: int
    total: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Rang:
    total: int


@dataclass(frozen=True, slots=True)
class Counter:
    name: str = ""
    total: int = 0
    revision: int = 0
    rung: int = 0


def decide(command: Count | Ring, state: Counter) -> Sequence[Counted | Rang]:
    if isinstance(command, Ring):
        return [Rang(state.total)]
    if command.expected is not None and command.expected != state.revision:
        raise Stale("stale", "Read the counter again.", revision=state.revision)
    if command.by < 0:
        raise RuleBroken("negative", "Count upwards.")
    if command.by == 666:
        raise ZeroDivisionError("an unforeseen fault")
    assert command.now != NO_TIME
    return [Counted(command.by, state.total + command.by, command.now)]


def evolve(state: Counter, event: Counted | Rang) -> Counter:
    if isinstance(event, Rang):
        return Counter(state.name, state.total, state.revision + 1, state.rung + 1)
    return Counter(state.name, event.total, state.revision + 1, state.rung)


def project(recorded: Recorded) -> Sequence[Change]:
    name = recorded.stream.partition("-")[2]
    if isinstance(recorded.event, Rang):
        return [Drop(DUE, {"kind": "alarm", "key": name})]
    row = Put(COUNTERS, {"name": name, "total": recorded.event.total, "revision": recorded.revision})
    if not name.startswith("alarm"):
        return [row]
    return [
        row,
        Put(
            DUE,
            {
                "kind": "alarm",
                "key": name,
                "due_at": recorded.event.at + timedelta(milliseconds=100),
                "data": {"total": recorded.event.total},
            },
        ),
    ]


def publish(recorded: Recorded) -> PublicEvent | None:
    return (
        PublicEvent("regista.registry.Counted.v1", recorded.event)
        if isinstance(recorded.event, Counted)
        else None
    )


COUNTER: Decider[Any, Any, Counter] = Decider("counter", Counter(), evolve, decide=decide)
SERVICE = Service(
    "registry",
    [COUNTER],
    {Count: COUNTER, Ring: COUNTER},
    EventTypes((Counted, Rang)),
    project,
    publish,
    (COUNTERS, DUE),
)


@dataclass(frozen=True, slots=True)
class AppendEvents:
    """Append events of an identity without a decision."""

    events: tuple[Any, ...]


IDENTITY: Decider[AppendEvents, Any, AccessState] = Decider(
    "access", AccessState(), evolve_access, decide=lambda command, _: command.events
)
ACCESS_SERVICE = Service(
    "access", [IDENTITY], {AppendEvents: IDENTITY}, ACCESS_EVENTS, lambda _: [], lambda _: None
)


class By(Body):
    by: int = Field(ge=-10, le=1000)
    note: str = ""


class Limited(PageQuery):
    at_least: int = 0


async def count(call: Call) -> Reply:
    name = call.path["name"]
    command = Submission(
        Count(call.body.by, call.if_match),
        (f"counter-{name}",),
        call.cause(),
        call.actor,
        permission=Permission("engineer", "toys"),
    )
    outcome = await call.app.transactor.submit(command)
    event = outcome.events[-1]
    return Reply(
        {"total": event.event.total, "replayed": outcome.replayed, "trace": event.trace}, etag=event.revision
    )


async def _totals(app: App, names: Sequence[str]) -> Mapping[str, Any]:
    rows = await app.pool.fetch(
        "SELECT name, total, revision FROM counters WHERE name = ANY($1::text[])", names
    )
    return {row["name"]: row for row in rows}


async def show(call: Call) -> Reply:
    call.require("any", "toys")
    row = await call.app.parts_as(Parts).totals.get(call.path["name"])
    if row is None:
        raise NotFound("no_such_counter", "Count first.")
    return Reply(b'{"total":%d}' % row["total"], etag=row["revision"])


async def listed(call: Call) -> Reply:
    after = (call.query.after(str) or ("",))[0]
    sql = "SELECT name, total FROM counters WHERE name > $1 AND total >= $2 ORDER BY name LIMIT $3"
    rows = await call.app.pool.fetch(sql, after, call.query.at_least, call.query.page_size)
    token = call.query.next_token(rows, "name")
    return Reply({"items": [dict(row) for row in rows], "next_page_token": token})


async def upload(call: Call) -> Reply:
    size = 0
    async for piece in call.stream():
        size += len(piece)
    return Reply({"size": size})


async def broken(_call: Call) -> Reply:
    raise ZeroDivisionError("rg_abc_topsecret")


async def slow(_call: Call) -> Reply:
    await asyncio.sleep(float(_call.headers.get("x-seconds", "60")))
    return Reply({})


@dataclass(slots=True)
class Parts:
    totals: Batcher[str, Any]
    moved: bool = False
    faults: int = 0


ROUTES = [
    Route("POST", "/v1/counters/{name}:count", count, "Count", body=By),
    Route("PATCH", "/v1/counters/{name}", count, "Count from what was seen", body=By, needs_if_match=True),
    Route("GET", "/v1/counters/{name}", show, "A counter"),
    Route("GET", "/v1/counters", listed, "All counters", query=Limited),
    Route("POST", "/v1/uploads", upload, "Bytes", streams=True),
    Route("GET", "/v1/broken", broken, "Fails"),
    Route("GET", "/v1/slow", slow, "Takes long", timeout=20.0),
    Route("GET", "/v1/slower", slow, "Takes too long", timeout=0.05),
]


async def counted(app: App, message: Received) -> list[Submission]:
    by = message.data.get("by")
    if not isinstance(by, int):
        raise Malformed("by is no whole number")
    if message.data.get("moved") and not app.parts_as(Parts).moved:
        app.parts_as(Parts).moved = True
        raise Misrouted("moved", "look again")
    if message.data.get("fault"):
        app.parts_as(Parts).faults += 1
        raise ZeroDivisionError("an unforeseen fault")
    return [
        Submission(
            Count(by),
            (f"counter-{message.event.subject}",),
            message.cause(),
            message.actor,
            permission=Permission("publisher", "toys"),
        )
    ]


async def doubled(message: Received) -> list[Submission]:
    if not message.data.get("twice"):
        return []
    return [
        Submission(
            Count(message.data["by"]),
            (f"counter-{message.event.subject}",),
            message.cause("again"),
            message.actor,
        )
    ]


async def noted(message: Received) -> list[Submission]:
    if message.data.get("malformed") and "TOY_UNDERSTANDS" not in os.environ:
        raise Malformed("an event of tomorrow")
    return [
        Submission(
            Count(message.data["by"]), (f"counter-{message.data['on']}",), message.cause(), message.actor
        )
    ]


async def alarm(row: DueRow) -> list[Submission]:
    log.info("alarm %s", row.key)
    if row.key.startswith("alarm-fails") and row.attempt == 1:
        raise ZeroDivisionError("the first attempt fails")
    if row.key.startswith("alarm-long"):
        await asyncio.sleep(1.2)
    return [Submission(Ring(), (f"counter-{row.key}",), row.cause(), row.actor)]


async def prepare_parts(app: App) -> Parts:
    return Parts(Batcher(partial(_totals, app)))


def process(app: App) -> Process:
    subscriptions = [
        Subscription(
            TOPIC,
            "registry.regista.toy",
            {"toy.Counted.v1": Handler(partial(counted, app), doubled)},
            by_publishers,
            strict=True,
        ),
        Subscription(
            "regista.artifact.events.v1",
            "registry.regista.toy",
            {
                "regista.artifact.Seen.v1": Handler(noted),
                "regista.artifact.SeenUrgently.v1": Handler(noted, urgent=True),
            },
            by_service("artifact"),
        ),
    ]
    return Process(
        SERVICE,
        routes=ROUTES,
        subscriptions=subscriptions if os.environ.get("TOY_KAFKA", "1") == "1" else (),
        due_work=[DueWork("alarm", alarm, lease=float(os.environ.get("TOY_LEASE", "0.6")), poll=0.1)],
        extra_services=(ACCESS_SERVICE,),
        start=prepare_parts,
    )


if __name__ == "__main__":
    main(process)
