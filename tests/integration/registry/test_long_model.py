"""A model with very many versions costs no more per command than one with ten: counted, not timed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import asyncpg
import pytest

from benchmarks.trained import trained
from services.registry.as_of.replay import MOST_EVENTS, then
from services.registry.domain.model.state import stream_of
from services.registry.domain.serving.alias import SetAlias
from services.registry.domain.serving.environment import ENVIRONMENTS
from services.registry.domain.withdrawal.legal_hold import PlaceLegalHold
from services.registry.domain.withdrawal.rejection import RejectVersion
from services.registry.look_ups import LookUps
from services.registry.service import SERVICE
from services.registry.trained_message import read
from shared.deciding.decider import Unprocessable
from shared.deciding.events import Actor, EventTypes
from shared.deciding.submission import Cause, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.foundation.settings import Settings
from shared.http.app import App
from shared.log import eventlog, projector
from shared.log.transact import Transactor

pytestmark = pytest.mark.servers

SHORT, LONG, AT_ONCE = 10, 20_000, 500
ROOT = Path(__file__).parents[3]
COUNTED = (str(ROOT / "services/registry"), str(ROOT / "shared"))
ASIDE = ("SnapshotCodec.", "States.keep", "States.behind", "Transactor._keep", "WakeUp.", "wait_for_wake_up")
"""What is not counted: snapshots and wake-ups, which come beside the commands."""


@dataclass
class Cost:
    """What one command took.

    `opcodes`, by function, are the steps of the interpreter: a loop over versions shows whatever it does in
    them.
    """

    loaded: int = 0
    decoded: int = 0
    evolved: int = 0
    rows: int = 0
    opcodes: Counter[str] = field(default_factory=Counter)

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_qualname
        caller = frame.f_back.f_code.co_qualname if frame.f_back else ""
        if (
            not frame.f_code.co_filename.startswith(COUNTED)
            or name.startswith(ASIDE)
            or caller.startswith(ASIDE)
        ):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.opcodes[name] += 1
        elif event == "call" and name == "evolve":
            self.evolved += 1
        return self.trace


class Registry:
    """The registry's command path, and two models in it."""

    def __init__(self, pool: asyncpg.Pool, url: str) -> None:
        self.pool = pool
        self.transactor = Transactor(SERVICE, pool, WakeUp(url, "registry"))
        self._look_ups = LookUps(pool)
        self._causes = 0

    def cause(self) -> Cause:
        self._causes += 1
        return Cause("tests", str(self._causes), b"-")

    async def registration(self, model: str, number: int) -> Submission:
        message = read(json.dumps(trained(model, number)).encode())
        return replace(
            await self._look_ups.registration(model, message, self.cause(), Actor("user-ann")),
            permission=None,
        )

    async def filled(self, model: str, count: int) -> str:
        """The id of a model with so many versions."""
        first = await self.registration(model, 0)
        await self.transactor.submit(first)
        for start in range(1, count, AT_ONCE):
            submissions = [
                await self.registration(model, n) for n in range(start, min(start + AT_ONCE, count))
            ]
            assert not [
                answer
                for answer in await self.transactor.submit_all(submissions)
                if isinstance(answer, Exception)
            ]
        return str(first.command.model_id)

    async def commands(self, model: str, model_id: str, number: int) -> dict[str, Submission]:
        """One of each kind, on the version `number`, which the first of them makes."""
        commands = (
            SetAlias(model_id, "candidate", number),
            PlaceLegalHold(model_id, number - 1),
            RejectVersion(model_id, number - 2, reason="no"),
        )
        on_version = {
            type(c).__name__: Submission(
                c, (stream_of(model_id),), self.cause(), Actor("user-ann"), (ENVIRONMENTS,)
            )
            for c in commands
        }
        return {"RegisterVersion": await self.registration(model, number - 1), **on_version}

    async def cost(self, submission: Submission, monkeypatch: pytest.MonkeyPatch) -> Cost:
        cost = Cost()
        before = await rows_read(self.pool)
        with monkeypatch.context() as patched:
            _spy(patched, cost)
            sys.settrace(cost.trace)
            try:
                outcome = await self.transactor.submit(submission)
            finally:
                sys.settrace(None)
        cost.rows = await rows_read(self.pool) - before
        assert outcome.events
        assert not outcome.replayed
        return cost


def _spy(patched: pytest.MonkeyPatch, cost: Cost) -> None:
    """Counts what the real functions answer."""
    load, load_past, recorded = eventlog.load, eventlog.load_past, EventTypes.recorded

    async def loading(*arguments: Any) -> Any:
        tails = await load(*arguments)
        cost.loaded += sum(len(tail) for tail in tails.values())
        return tails

    async def loading_past(*arguments: Any) -> Any:
        found = await load_past(*arguments)
        cost.loaded += len(found)
        return found

    def decoding(types: EventTypes, *arguments: Any) -> Any:
        cost.decoded += 1
        return recorded(types, *arguments)

    patched.setattr(eventlog, "load", loading)
    patched.setattr(eventlog, "load_past", loading_past)
    patched.setattr(EventTypes, "recorded", decoding)


@pytest.fixture
async def registry(database: Any) -> AsyncIterator[Registry]:
    url = database.url("registry")
    pool = await connect_pool(url, schemas=("registry", "access"), size=2)
    await projector.ensure(SERVICE, pool)
    made = Registry(pool, url)
    writer = asyncio.create_task(made.transactor.run())
    yield made
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await pool.close()


# What scans and indexes of the log and of the read models gave so far; the pool lends the connection that
# came back last, so it is the writer's that reports.
ROWS_READ = """
SELECT (SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables
    WHERE schemaname IN ('log', 'registry'))
     + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname IN ('log', 'registry'))
"""


EVENTS_OF = "SELECT count(*) FROM log.events_registry WHERE stream = $1"


async def rows_read(pool: asyncpg.Pool) -> int:
    await pool.fetchval("SELECT pg_stat_force_next_flush()")
    return int(await pool.fetchval(ROWS_READ))


async def analysed(url: str) -> None:
    """Do what autovacuum does within a minute: until then the plans of empty tables stay in use."""
    owner = await asyncpg.connect(url)
    await owner.execute("ANALYZE")
    await owner.close()


async def settled(registry: Registry, model_id: str) -> None:
    """Until no snapshot of the model is wanted."""
    while registry.transactor.states.get(stream_of(model_id)).may_be_kept:  # noqa: ASYNC110 - no wake-up
        await asyncio.sleep(0.05)


async def test_a_moment_behind_which_a_model_had_too_many_events_is_refused_without_reading_them(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App("registry", Settings())
    app.pool, model_id = registry.pool, await registry.filled("short.one", 2)
    now = datetime.now(UTC)
    events = await registry.pool.fetchval(EVENTS_OF, stream_of(model_id))
    assert len((await then(app, model_id, now, most=events)).versions()) == 2
    _spy(monkeypatch, cost := Cost())
    with pytest.raises(Unprocessable, match=f"too_many_events: The model had more than {events - 1} events"):
        await then(app, model_id, now, most=events - 1)
    assert cost.decoded == 1
    assert MOST_EVENTS == 20_000


@pytest.mark.slow
async def test_each_kind_of_command_takes_the_same_steps_in_a_model_of_10_versions_and_in_one_of_20000(
    registry: Registry, stack: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"short.one": SHORT, "long.one": LONG}
    ids = {model: await registry.filled(model, size) for model, size in sizes.items()}
    await analysed(stack.owner_url(database.name))
    for model, size in sizes.items():  # what is done once: caches, prepared statements
        for submission in (await registry.commands(model, ids[model], size + 1)).values():
            await registry.transactor.submit(submission)
        await registry.transactor.submit_all(
            [await registry.registration(model, n) for n in (size + 1, size + 2)]
        )
        await settled(registry, ids[model])
    costs: dict[str, dict[str, Cost]] = {}
    for model, size in sizes.items():
        commands = await registry.commands(model, ids[model], size + 4)
        costs[model] = {
            kind: await registry.cost(submission, monkeypatch) for kind, submission in commands.items()
        }
    short, long = costs.values()
    assert all(cost.evolved and cost.opcodes.total() > 1_000 for cost in short.values()), (
        "or nothing was counted"
    )
    for kind, cost in short.items():
        assert (kind, long[kind].opcodes - cost.opcodes) == (kind, Counter())
        assert (kind, long[kind]) == (kind, cost)
