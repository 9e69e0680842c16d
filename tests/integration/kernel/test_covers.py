"""The rule which names a namespace covers is the same in Python and SQL, and inlined into queries."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from shared.deciding.access import covers, namespace_of

pytestmark = pytest.mark.servers

NAMESPACES = ("a", "a.b", "a.b.c", "ab", "a.bc", "fraud.cards", "z")
NAMES = (
    "x",
    "a",
    "a.x",
    "a.b.x",
    "a.b.c.x",
    "a.b.c.d.x",
    "ab.x",
    "a.bc.x",
    "fraud.cards.x",
    "fraud.x",
    "a,z.x",
)


async def test_sql_and_python_give_the_same_answer_for_every_name(database: Any) -> None:
    lists = [[], *([n] for n in NAMESPACES), ["a.b", "z"], ["fraud.cards", "ab", "a.bc"]]
    service = await asyncpg.connect(database.url("cleanup"))
    found = {
        (tuple(some), name): await service.fetchval("SELECT log.covers($1::text[], $2)", some, name)
        for some in lists
        for name in NAMES
    }
    await service.close()
    assert found == {
        (some, name): any(covers(one, namespace_of(name)) for one in some) for some, name in found
    }
    assert set(found.values()) == {True, False}


async def test_no_list_covers_every_name(database: Any) -> None:
    service = await asyncpg.connect(database.url("audit"))
    assert await service.fetchval("SELECT bool_and(log.covers(NULL, n)) FROM unnest($1::text[]) n", NAMES)
    await service.close()


async def test_the_planner_writes_the_rule_into_the_query(database: Any) -> None:
    service = await asyncpg.connect(database.url("registry"))
    plan = await service.fetch(
        "EXPLAIN VERBOSE SELECT name FROM directory.names WHERE log.covers(ARRAY['a'], name)"
    )
    await service.close()
    condition = next(row[0] for row in plan if "Filter" in row[0])
    assert "^@" in condition
    assert "covers" not in condition
