"""Documents on their way into and out of PostgreSQL."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.foundation.postgres import connect_pool

pytestmark = pytest.mark.servers
DOCUMENT = {"a": [1, None, "ä"], "b": {"c": True}}


async def test_a_document_is_returned_as_its_stored_bytes(database: Any) -> None:
    stored = msgspec.json.encode(DOCUMENT)
    pool = await connect_pool(database.url("cleanup"), schemas=("cleanup",), size=1)
    try:
        async with pool.acquire() as connection:
            await connection.execute("CREATE TEMPORARY TABLE documents (n int, document jsonb)")
            await connection.execute("INSERT INTO documents VALUES (1, $1)", msgspec.Raw(stored))
            await connection.execute(
                "INSERT INTO documents SELECT 2, x::jsonb FROM unnest($1::text[]) AS x", [stored.decode()]
            )
            await connection.copy_records_to_table("documents", records=[(3, stored), (4, None)])
            found = [
                row["document"] for row in await connection.fetch("SELECT document FROM documents ORDER BY n")
            ]
    finally:
        await pool.close()
    assert found[3] is None
    assert all(isinstance(one, msgspec.Raw) for one in found[:3])
    assert [msgspec.json.decode(one) for one in found[:3]] == [DOCUMENT] * 3
    assert msgspec.json.decode(msgspec.json.encode({"shown": found[0]})) == {"shown": DOCUMENT}
