"""Run a text of several SQL statements on a connection of SQLAlchemy."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def run_sql(connection: Connection, script: str) -> None:
    """Run the statements in the transaction of the connection.

    A prepared statement holds one statement, so asyncpg runs the text directly.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.run_async(lambda asyncpg: asyncpg.execute(script))
