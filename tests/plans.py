"""Plans of statements, with the rows and pages that they read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case list() | tuple():
            return f"ARRAY[{', '.join(map(literal, value))}]"
        case int() | float():
            return str(value)
        case _:
            return "'" + str(value).replace("'", "''") + "'"


async def explained(connection: asyncpg.Connection, statement: str, *values: Any) -> dict[str, Any]:
    """Return the plan of one run of a prepared statement; its second run, because the first fills caches.

    PostgreSQL plans a statement without its values after a few runs: an EXPLAIN of the statement itself
    would show only plans with them.
    """
    await connection.execute(f"PREPARE asked AS {statement}")
    execute = f"EXECUTE asked({', '.join(map(literal, values))})"
    await connection.execute(execute)
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}")
    await connection.execute("DEALLOCATE asked")
    (explanation,) = json.loads(bytes(text) if not isinstance(text, str) else text)
    plan: dict[str, Any] = explanation["Plan"]
    return plan


async def measured(
    pool: asyncpg.Pool,
    owner_url: str,
    questions: Mapping[str, tuple[str, Iterable[Any], int]],
    plans: str = "force_custom_plan",
) -> dict[str, tuple[int, int]]:
    """Return (rows, pages) of each question: a statement, its values, and how many rows it should have.

    `plans` is the setting `plan_cache_mode`: by default a statement is planned with its values.
    """
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("VACUUM ANALYZE")
    finally:
        await owner.close()
    found = {}
    async with pool.acquire() as connection:
        await connection.execute(f"SET plan_cache_mode = {plans}")
        for name, (statement, values, _) in questions.items():
            plan = await explained(connection, statement, *values)
            found[name] = (int(plan["Actual Rows"]), pages(plan))
    return found
