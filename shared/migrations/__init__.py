"""What migrations of the log and of services share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op
from sqlalchemy import Connection


def run_sql_beside(migration: str) -> None:
    """Run the SQL file that has the name of this migration: call it with `__file__`.

    The file may hold several statements. A prepared statement holds one, so asyncpg runs the text directly.
    """
    run_sql(op.get_bind(), Path(migration).with_suffix(".sql").read_text())


def run_sql(bind: Connection, script: str) -> None:
    """Run a text of several statements in the transaction of the connection."""
    connection: Any = bind.connection.dbapi_connection
    connection.run_async(lambda asyncpg: asyncpg.execute(script))
