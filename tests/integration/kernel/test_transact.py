"""The path of every command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from shared.deciding.decider import Forbidden, RuleBroken
from shared.deciding.submission import IdempotencyMismatch, Permission
from shared.foundation.postgres import Unavailable
from shared.log import eventlog, inbox
from shared.log.batch import MOST
from shared.log.transact import Transactor, WriterDied


async def test_a_command_is_in_the_log_and_in_the_read_models_when_it_is_answered(bank: Any) -> None:
    outcome = await bank.transactor.submit(bank.deposit("a", 5))
    assert [e.event.total for e in outcome.events] == [5]
    assert await bank.pool.fetchval("SELECT total FROM accounts WHERE id = 'account-a'") == 5
    stored = json.loads((await bank.events())[0]["bytes"])
    assert stored["stream"] == "account-a"
    assert stored["actor"]["subject"] == "user-1"
    assert stored["data"] == {"amount": 5, "note": "", "total": 5}


async def test_a_request_for_the_present_state_leaves_no_event(bank: Any) -> None:
    assert (await bank.transactor.submit(bank.deposit("a", 0))).events == ()
    assert await bank.events() == []


async def test_a_broken_rule_fails_only_its_own_command(bank: Any) -> None:
    answers = await bank.transactor.submit_all(
        [bank.deposit("a", 1), bank.deposit("a", -1), bank.deposit("a", 2)]
    )
    assert isinstance(answers[1], RuleBroken)
    assert [answers[0].events[0].event.total, answers[2].events[0].event.total] == [1, 3]


async def test_a_poison_command_fails_alone(bank: Any) -> None:
    good = [asyncio.ensure_future(bank.transactor.submit(bank.deposit("a"))) for _ in range(5)]
    poison = asyncio.ensure_future(bank.transactor.submit(bank.deposit("a", note="bug")))
    with pytest.raises(ZeroDivisionError):
        await poison
    await asyncio.gather(*good)
    assert await bank.pool.fetchval("SELECT total FROM accounts") == 5


async def test_a_text_the_database_cannot_hold_fails_alone(bank: Any) -> None:
    answers = await asyncio.gather(
        *(bank.transactor.submit(bank.deposit("a", note=note)) for note in ("x", "\x00", "y")),
        return_exceptions=True,
    )
    assert isinstance(answers[1], asyncpg.PostgresError)
    assert await bank.pool.fetchval("SELECT total FROM accounts") == 2


async def test_the_same_cause_has_its_effect_once_and_the_same_answer(
    bank: Any, open_bank: Callable[..., Any]
) -> None:
    first = await bank.transactor.submit(bank.deposit("a", 7, cause="order-1"))
    again = await bank.transactor.submit(bank.deposit("a", 7, cause="order-1"))
    elsewhere = await (await open_bank()).transactor.submit(bank.deposit("a", 7, cause="order-1"))
    assert [first.replayed, again.replayed, elsewhere.replayed] == [False, True, True]
    assert again.events[0].bytes == elsewhere.events[0].bytes == first.events[0].bytes
    assert await bank.pool.fetchval("SELECT total FROM accounts") == 7


async def test_the_same_cause_twice_in_one_batch_has_its_effect_once(bank: Any) -> None:
    answers = await bank.transactor.submit_all([bank.deposit("a", 7, cause="order-1") for _ in range(3)])
    assert [a.replayed for a in answers] == [False, True, True]
    assert {a.events[0].event_id for a in answers} == {answers[0].events[0].event_id}


async def test_the_same_cause_in_two_processes_has_its_effect_once(
    bank: Any, open_bank: Callable[..., Any]
) -> None:
    other = await open_bank()
    answers = await asyncio.gather(
        *(b.transactor.submit(bank.deposit("a", 1, cause=f"c{n}")) for n in range(50) for b in (bank, other))
    )
    assert sum(a.replayed for a in answers) == 50
    assert await bank.pool.fetchval("SELECT total FROM accounts") == 50


async def test_a_cause_used_for_another_request_is_refused(bank: Any) -> None:
    await bank.transactor.submit(bank.deposit("a", 7, cause="order-1"))
    with pytest.raises(IdempotencyMismatch):
        await bank.transactor.submit(bank.deposit("a", 8, cause="order-1", digest=b"other"))


async def test_a_refused_cause_may_be_tried_again(bank: Any) -> None:
    with pytest.raises(RuleBroken):
        await bank.transactor.submit(bank.deposit("a", -1, cause="order-1"))
    assert not (await bank.transactor.submit(bank.deposit("a", 1, cause="order-1"))).replayed


async def test_a_joint_decision_writes_all_its_streams_or_none(bank: Any) -> None:
    await bank.transactor.submit(bank.deposit("a", 5))
    outcome = await bank.transactor.submit(bank.move("a", "b", 3))
    assert {e.stream: e.event.total for e in outcome.events} == {"account-a": 2, "account-b": 3}
    with pytest.raises(RuleBroken):
        await bank.transactor.submit(bank.move("a", "b", 3))
    assert len(await bank.events()) == 3


def _reruns() -> float:
    return REGISTRY.get_sample_value("regista_batch_reruns_total", {"service": "cleanup"}) or 0.0


async def test_crossing_moves_of_two_processes_never_deadlock_and_lose_nothing(
    bank: Any, open_bank: Callable[..., Any]
) -> None:
    other = await open_bank()
    names = ["a", "b", "c", "d"]
    await bank.transactor.submit_all([bank.deposit(name, 1000) for name in names])
    moves = [(b, x, y) for b in (bank, other) for x in names for y in names if x != y for _ in range(10)]
    reruns = _reruns()
    await asyncio.gather(*(b.transactor.submit(b.move(x, y, 1)) for b, x, y in moves))
    assert _reruns() == reruns
    assert await bank.pool.fetchval("SELECT sum(total) FROM accounts") == 4000


async def test_a_past_event_is_loaded_from_this_batch_from_memory_and_from_the_log(
    bank: Any, open_bank: Callable[..., Any]
) -> None:
    answers = await bank.transactor.submit_all([bank.deposit("a", 1, note="long text"), bank.quote("a")])
    from_memory = await bank.transactor.submit(bank.quote("a"))
    from_log = await (await open_bank()).transactor.submit((await open_bank()).quote("a"))
    assert [a.events[0].event.note for a in (answers[1], from_memory, from_log)] == ["long text"] * 3


async def test_neither_recorded_time_nor_a_decisions_now_runs_backwards_in_a_stream(bank: Any) -> None:
    first = (await bank.transactor.submit(bank.deposit("a"))).events[0]
    tomorrow = first.recorded_at + timedelta(days=1)
    bank.transactor.states.put(
        "account-a", replace(bank.transactor.states.get("account-a"), recorded_at=tomorrow)
    )  # the clock was set back
    second = (await bank.transactor.submit(bank.deposit("a", note="now"))).events[0]
    assert (second.recorded_at, second.event.note) == (tomorrow, tomorrow.isoformat())
    assert (await bank.transactor.submit(bank.deposit("b"))).events[0].recorded_at < tomorrow


async def test_a_command_sees_the_events_of_other_processes(bank: Any, open_bank: Callable[..., Any]) -> None:
    other = await open_bank()
    for n in range(1, 6):
        outcome = await (bank if n % 2 else other).transactor.submit(bank.deposit("a"))
        assert outcome.events[0].event.total == n


async def test_a_snapshot_makes_a_cold_start_read_only_the_tail(
    bank: Any, open_bank: Callable[..., Any]
) -> None:
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(600)])
    async with bank.pool.acquire() as connection:
        await bank.transactor.states.keep(connection, "account-a", bank.transactor.states.get("account-a"))
    cold = await open_bank()
    async with cold.pool.acquire() as connection:
        await cold.transactor.states.warm(connection, ["account-a"])
    assert cold.transactor.states.get("account-a").revision == 600
    assert (await cold.transactor.submit(cold.deposit("a"))).events[0].revision == 601


async def test_a_quiet_time_leaves_a_snapshot_of_what_grew(bank: Any) -> None:
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(250)])
    async with asyncio.timeout(30):
        while await bank.pool.fetchval("SELECT revision FROM snapshots WHERE stream = 'account-a'") != 250:  # noqa: ASYNC110 - written beside the commands
            await asyncio.sleep(0.05)


async def test_a_snapshot_of_other_code_is_not_used(bank: Any, open_bank: Callable[..., Any]) -> None:
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(600)])
    await bank.pool.execute(
        "INSERT INTO snapshots VALUES ('account-a', 900, now(), 'older code', 'x') ON CONFLICT (stream)"
        " DO UPDATE SET fold = 'older code'"
    )
    assert (await (await open_bank()).transactor.submit(bank.deposit("a"))).events[0].revision == 601


async def test_an_event_larger_than_any_reader_takes_is_refused_and_fails_only_its_own_command(
    bank: Any,
) -> None:
    answers = await bank.transactor.submit_all(
        [bank.deposit("a"), bank.deposit("a", note="x" * MOST), bank.deposit("a")]
    )
    assert answers[1].code == "event_too_large"
    assert [answers[0].events[0].revision, answers[2].events[0].revision] == [1, 2]


async def test_a_command_is_refused_immediately_when_the_queue_is_full(bank: Any) -> None:
    transactor = Transactor(bank.service, bank.pool, bank.wake_up, most_waiting=2)
    waiting = [asyncio.create_task(transactor.submit(bank.deposit("a"))) for _ in range(3)]
    with pytest.raises(Unavailable, match="queue of this process is full"):
        await waiting[2]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_one_caller_may_submit_more_commands_than_the_queue_holds(bank: Any) -> None:
    """A new policy evaluates every open gate again: queued together, its commands would always fail."""
    transactor = Transactor(bank.service, bank.pool, bank.wake_up, batch_size=3, most_waiting=10)
    running = asyncio.create_task(transactor.run())
    answers = await transactor.submit_all([bank.deposit("a", -1 if n == 20 else 1) for n in range(50)])
    assert [n for n, answer in enumerate(answers) if isinstance(answer, RuleBroken)] == [20]
    assert answers[-1].events[0].event.total == 49
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_command_whose_caller_gave_up_before_it_began_is_not_run(bank: Any) -> None:
    transactor = Transactor(bank.service, bank.pool, bank.wake_up)
    left, stayed = (asyncio.create_task(transactor.submit(bank.deposit("a", n))) for n in (1, 2))
    await asyncio.sleep(0)
    left.cancel()
    running = asyncio.create_task(transactor.run())
    assert (await stayed).events[0].event.total == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_without_the_role_nothing_is_written(bank: Any) -> None:
    with pytest.raises(Forbidden):
        await bank.transactor.submit(bank.deposit("a", permission=Permission("engineer", "")))
    assert await bank.events() == []


async def test_a_writer_that_ends_fails_every_waiting_caller(bank: Any) -> None:
    transactor = Transactor(bank.service, bank.pool, bank.wake_up, batch_size=1)
    blocker = await bank.pool.acquire()
    lock = blocker.transaction()
    await lock.start()
    await eventlog.lock(blocker, "cleanup", ["account-a"], [])
    task = asyncio.create_task(transactor.run())
    waiting = [asyncio.create_task(transactor.submit(bank.deposit("a"))) for _ in range(3)]
    async with asyncio.timeout(10):
        while not await bank.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - the first command is under way
            await asyncio.sleep(0.01)
    task.cancel()
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [WriterDied] * 3
    with pytest.raises(WriterDied):
        await transactor.submit(bank.deposit("a"))
    await asyncio.gather(task, return_exceptions=True)
    await lock.rollback()
    await bank.pool.release(blocker)


async def test_a_stream_of_an_unknown_category_fails_only_its_own_command(bank: Any) -> None:
    unknown = replace(bank.deposit("a"), streams=("nonsense-1",))
    answers = await asyncio.gather(
        bank.transactor.submit(bank.deposit("a")), bank.transactor.submit(unknown), return_exceptions=True
    )
    assert isinstance(answers[1], KeyError)
    assert answers[0].events[0].revision == 1


BY_KEY = [
    ("inbox", "(text[], text[])", inbox.LOOK_UP.format(schema="cleanup"), "'{a}', '{b}'", "inbox_pkey"),
    (
        "streams",
        "(text[], bigint[], text[], bigint[])",
        eventlog.load_sql("cleanup"),
        "'{a}', '{0}', '{b}', '{0}'",
        "events_cleanup_pkey",
    ),
    (
        "past",
        "(text[], bigint[])",
        eventlog.PAST.format(partition="cleanup"),
        "'{a}', '{1}'",
        "events_cleanup_pkey",
    ),
]


@pytest.mark.parametrize(
    ("types", "statement", "values", "index"), [row[1:] for row in BY_KEY], ids=[row[0] for row in BY_KEY]
)
async def test_a_plan_made_while_a_table_is_empty_reads_it_by_its_key(
    bank: Any, types: str, statement: str, values: str, index: str
) -> None:
    async with bank.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE look_up {types} AS {statement}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE look_up({values})"))
        await connection.execute("DEALLOCATE look_up")
    assert f"Index Scan using {index}" in plan
    assert "Hash" not in plan
    assert "Seq Scan on events" not in plan


async def _and_the_total_of(account: str, connection: asyncpg.Connection, command: Any) -> Any:
    total = await connection.fetchval("SELECT total FROM accounts WHERE id = $1", f"account-{account}")
    return replace(command, note=str(total))


async def test_what_is_read_under_the_locks_contains_the_commands_before_it_in_the_queue(bank: Any) -> None:
    reading = replace(bank.deposit("b", 1), under_locks=partial(_and_the_total_of, "a"))
    answers = await bank.transactor.submit_all([bank.deposit("a", 5), reading, bank.deposit("a", 2)])
    assert [answer.events[0].event.total for answer in answers] == [5, 1, 7]
    assert answers[1].events[0].event.note == "5"


async def test_what_is_read_under_the_locks_contains_what_another_process_wrote_before(
    bank: Any, open_bank: Callable[..., Any]
) -> None:
    other = await open_bank()

    async def read(n: int) -> tuple[str, str]:
        one = bank.deposit("b", 1, cause=f"read-{n}")
        under = partial(_and_the_total_of, "a")
        outcome = await bank.transactor.submit(
            replace(one, streams=(*one.streams, "account-a"), under_locks=under)
        )
        rows = await bank.pool.fetch(
            "SELECT convert_from(bytes, 'UTF8')::json->'data'->>'total' AS total FROM log.events_cleanup "
            "WHERE stream = 'account-a' AND (tx, seq) < "
            "(SELECT tx, seq FROM log.events_cleanup WHERE event_id = $1) "
            "ORDER BY tx DESC, seq DESC LIMIT 1",
            outcome.events[0].event_id,
        )
        return outcome.events[0].event.note, rows[0]["total"] if rows else "None"

    found = await asyncio.gather(
        *(read(n) for n in range(20)), *(other.transactor.submit(other.deposit("a", 1)) for _ in range(20))
    )
    assert [note for note, _ in found[:20]] == [last for _, last in found[:20]]
